import { z } from 'zod'
import type { BlockedTransition, EventRecord } from '../engine/history.js'
import type { RunRecord } from '../engine/run.js'
import { RUN_STATUSES } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import type { JsonObject } from '../kernel/json.js'
import { RUN_FORMAT, type RunSnapshot, SNAPSHOT_FIELDS, type SnapshotField } from '../queue/run-hash.js'

const json = <T>(check: (value: unknown) => value is T) =>
  z.string().transform((text, context) => {
    const value: unknown = JSON.parse(text)
    if (check(value)) return value
    context.addIssue('unexpected JSON')
    return z.NEVER
  })
const isObject = <T = JsonObject>(value: unknown): value is T =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isBeginning = (value: unknown): value is { context: JsonObject } => isObject(value) && isObject(value.context)
const count = z.string().regex(/^\d+$/).transform(Number)

/** What few runs have, in one field of the hash: the others pay nothing for it. */
export type MoreOfRun = Pick<RunRecord, 'undo' | 'rollback' | 'pause' | 'mailbox' | 'priority' | 'tags' | 'forkedFrom'>
export const MORE_PARTS = ['undo', 'rollback', 'pause', 'mailbox', 'priority', 'tags', 'forkedFrom'] as const

/** What may stand in a run hash: parsed here, at the edge, and trusted behind it. */
const hashSchema = z.object({
  v: z.literal(RUN_FORMAT),
  proc: z.string(),
  ver: z.string(),
  state: z.string(),
  status: z.enum(RUN_STATUSES),
  rev: count,
  seq: count,
  ev: json(isObject<EventRecord>).nullable(),
  err: json(isObject<NonNullable<RunRecord['error']>>).nullable(),
  blk: json((value): value is BlockedTransition[] => Array.isArray(value)).nullable(),
  kept: json(isObject<NonNullable<RunRecord['pending']>>).nullable(),
  drive: z.literal('manual').nullable(),
  tmo: count.nullable(),
  job: count.nullable(),
  zt: count.nullable(),
  st: count.nullable(),
  rt: count.nullable(),
  full: z.literal('1').nullable(),
  t0: count,
  te: count,
  t1: count.nullable(),
  sl: count.nullable(),
  rl: count.nullable(),
  att: count.nullable(),
  fx: z.literal('1').nullable(),
  more: json(isObject<MoreOfRun>).nullable(),
  ctx: json(isObject<JsonObject>).nullable(),
  first: json(isBeginning).nullable(),
} satisfies Record<SnapshotField, z.ZodType>)

/** The event that a missing `ev` stands for. */
export const USUAL_EVENT: EventRecord = Object.freeze({ name: 'success' })

/** Whether an event is the one that is not written down. */
export function isUsualEvent(event: EventRecord): boolean {
  return event.name === USUAL_EVENT.name && event.payload === undefined
}

/**
 * The run that a snapshot holds; undefined when there is none.
 * Throws `corrupt_record` for one that no commit of this format wrote, naming the run and the field.
 */
export function decodeRun(id: string, snapshot: RunSnapshot): RunRecord | undefined {
  const usual = decodeUsual(id, snapshot)
  if (usual) return usual
  const hash = Object.fromEntries(SNAPSHOT_FIELDS.map((field, i) => [field, snapshot[i] ?? null]))
  if (hash.rev === null && hash.status === null) return undefined
  const parsed = parseHash(hash)
  if (!parsed.success) throw corrupt(id, hash, parsed.reason)
  const h = parsed.data
  return {
    id,
    procedure: h.proc,
    version: h.ver,
    state: h.state,
    status: h.status,
    context: h.ctx ?? h.first!.context,
    revision: h.rev,
    seq: h.seq,
    event: h.ev ?? USUAL_EVENT,
    drive: h.drive ?? 'auto',
    timers: {
      ...(h.zt !== null && { sleepAt: h.zt }),
      ...(h.st !== null && { stateAt: h.st }),
      ...(h.rt !== null && { runAt: h.rt }),
      ...(h.sl !== null && { stateLeftMs: h.sl }),
      ...(h.rl !== null && { runLeftMs: h.rl }),
    },
    startedAt: h.t0,
    enteredAt: h.te,
    ...(h.err && { error: h.err }),
    ...(h.blk && { blocked: h.blk }),
    ...(h.kept && { pending: h.kept }),
    ...(h.tmo !== null && { timeoutMs: h.tmo }),
    ...(h.job !== null && { jobSeq: h.job }),
    ...(h.att !== null && { attempts: h.att }),
    ...(h.fx && { mayHaveActed: true as const }),
    ...h.more,
    ...(h.full && { historyFull: true }),
    ...(h.t1 !== null && { endedAt: h.t1 }),
  }
}

const FIELD = Object.fromEntries(SNAPSHOT_FIELDS.map((field, i) => [field, i])) as Record<SnapshotField, number>
/** Fields that every run has, or that a run has in the midst of its work, as far as {@link decodeUsual} reads them. */
const USUAL = new Set<SnapshotField>([
  ...(['v', 'proc', 'ver', 'state', 'status', 'rev', 'seq', 'ev', 'job', 't0', 'te', 'ctx', 'first'] as const),
  ...(['zt', 'st', 'rt'] as const),
])
const UNUSUAL = SNAPSHOT_FIELDS.filter((field) => !USUAL.has(field)).map((field) => FIELD[field])
const COUNT = /^\d+$/

/**
 * A run of the usual kind, ten times as fast as by the schema: in the midst of its work, without timers, errors or anything
 * that few runs have. Undefined for any other, and for one that is not as it should be: the schema says why.
 */
function decodeUsual(id: string, snapshot: RunSnapshot): RunRecord | undefined {
  for (const field of UNUSUAL) if (snapshot[field] != null) return undefined
  const [revision, seq, jobSeq] = [snapshot[FIELD.rev], snapshot[FIELD.seq], snapshot[FIELD.job]]
  const [startedAt, enteredAt, procedure] = [snapshot[FIELD.t0], snapshot[FIELD.te], snapshot[FIELD.proc]]
  const [version, state] = [snapshot[FIELD.ver], snapshot[FIELD.state]]
  for (const count of [revision, seq, jobSeq, startedAt, enteredAt]) if (!count || !COUNT.test(count)) return undefined
  if (snapshot[FIELD.v] !== RUN_FORMAT || snapshot[FIELD.status] !== 'running') return undefined
  if (procedure == null || version == null || state == null) return undefined
  const context = contextOf(snapshot[FIELD.ctx], snapshot[FIELD.first])
  const event = eventOf(snapshot[FIELD.ev])
  const timers = timersOf(snapshot[FIELD.zt], snapshot[FIELD.st], snapshot[FIELD.rt])
  if (!context || !event || !timers) return undefined
  return {
    id,
    procedure,
    version,
    state,
    status: 'running',
    context,
    revision: Number(revision),
    seq: Number(seq),
    event,
    drive: 'auto',
    timers,
    startedAt: Number(startedAt),
    enteredAt: Number(enteredAt),
    jobSeq: Number(jobSeq),
  }
}

const NO_TIMERS: RunRecord['timers'] = {}

function timersOf(...times: (string | null | undefined)[]): RunRecord['timers'] | undefined {
  if (times.every((text) => text == null)) return NO_TIMERS
  if (times.some((text) => text != null && !COUNT.test(text))) return undefined
  const [sleepAt, stateAt, runAt] = times.map((text) => (text == null ? undefined : Number(text)))
  return {
    ...(sleepAt !== undefined && { sleepAt }),
    ...(stateAt !== undefined && { stateAt }),
    ...(runAt !== undefined && { runAt }),
  }
}

function eventOf(text: string | null | undefined): EventRecord | undefined {
  if (text == null) return USUAL_EVENT
  try {
    const event: unknown = JSON.parse(text)
    return isObject<EventRecord>(event) ? event : undefined
  } catch {
    return undefined
  }
}

/** The context, from its own text or from the first entry of the history; undefined when it is in neither. */
function contextOf(text: string | null | undefined, first: string | null | undefined): JsonObject | undefined {
  try {
    const value: unknown = text == null ? JSON.parse(first ?? 'null')?.context : JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function parseHash(hash: Record<string, string | null>) {
  try {
    const result = hashSchema.safeParse(hash)
    if (result.success && !result.data.ctx && !result.data.first)
      return { success: false as const, reason: 'its context is gone, and so is the beginning of its history' }
    if (result.success) return { success: true as const, data: result.data }
    const issue = result.error.issues[0]
    return { success: false as const, reason: `field ${issue?.path.join('.')}: ${issue?.message}` }
  } catch (error) {
    return { success: false as const, reason: (error as Error).message }
  }
}

function corrupt(id: string, hash: Record<string, string | null>, reason: string): ProcessionError {
  const version =
    hash.v === RUN_FORMAT
      ? ''
      : ` (its format is ${hash.v}, this release reads ${RUN_FORMAT}: run workers of one or of adjacent releases)`
  return new ProcessionError('corrupt_record', `the record of run ${id} cannot be read: ${reason}${version}`)
}
