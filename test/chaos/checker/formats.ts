/**
 * What Procession and BullMQ leave in Redis, as the checker reads it: key names, the run hash, history entries.
 *
 * Written down from the documents (docs/formats.md, the header of `src/queue/run-hash.ts`) and on purpose not imported from
 * `src`: a checker that shares code with the engine shares its mistakes. A format that grows may add fields; they pass here.
 */
import { z } from 'zod'

/** A run's statuses when it is over. */
const ENDED = new Set(['completed', 'failed', 'cancelled', 'rolled_back'])

/** Whether nothing is to move a run of this status any more. */
export function isOver(status: string): boolean {
  return ENDED.has(status)
}

/** Hash tag of shard `index`: what its keys begin with, BullMQ's too. */
export function shardTag(prefix: string, index: number): string {
  return `{${prefix}:${index}}`
}

/** Name of shard `index`'s BullMQ queue. */
export function queueName(index: number): string {
  return `shard-${index}`
}

/** The shard that a run must live on: FNV-1a, 32 bit, of its id before the first `/`, modulo the number of shards. */
export function homeShard(runId: string, shards: number): number {
  let hash = 0x811c9dc5n
  for (const byte of Buffer.from(runId.split('/')[0]!)) hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn
  return Number(hash % BigInt(shards))
}

/** `<runId>.<revision>.<seq of the commit that enqueued it>`, of a visit's action as of a compensation. */
export function parseJob(jobId: string): { runId: string; revision: number; jobSeq: number } | undefined {
  const dots = jobId.split('.')
  const [jobSeq, revision] = [Number(dots.pop()), Number(dots.pop())]
  if (dots.length === 0 || !Number.isInteger(jobSeq) || !Number.isInteger(revision)) return undefined
  return { runId: dots.join('.'), revision, jobSeq }
}

/** `<runId>.<revision>`, as actions get it. */
export function parseIdempotencyKey(key: string): { runId: string; revision: number } {
  const dot = key.lastIndexOf('.')
  return { runId: key.slice(0, dot), revision: Number(key.slice(dot + 1)) }
}

const jsonObject = z.record(z.string(), z.unknown())
const jsonText = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown
      } catch {
        context.addIssue('no JSON')
        return z.NEVER
      }
    })
    .pipe(schema)
const whole = z.string().regex(/^\d+$/).transform(Number)

const errorSchema = z.looseObject({
  code: z.string(),
  message: z.string(),
  state: z.string(),
  attempt: z.int().optional(),
})
const eventSchema = z.looseObject({ name: z.string(), payload: z.unknown().optional() })
const visitSchema = z.looseObject({ state: z.string(), revision: z.int() })
const heldSchema = z.looseObject({
  kind: z.enum(['attempt', 'entry', 'start', 'compensation']),
  target: z.string().optional(),
  event: eventSchema.optional(),
  source: z.string().optional(),
})
const originSchema = z.looseObject({ runId: z.string(), seq: z.int() })

export type EventRecord = z.infer<typeof eventSchema>
/** A visit that a rollback undoes. */
export type Visit = z.infer<typeof visitSchema>
/** What a paused run does when it is resumed. */
export type Held = z.infer<typeof heldSchema>

/** The field `more` of a run: what few runs have. */
const moreSchema = z.looseObject({
  undo: z.array(visitSchema).min(1).optional(),
  rollback: jsonObject.optional(),
  pause: jsonObject.optional(),
  mailbox: z.array(eventSchema).min(1).optional(),
  priority: z.int().optional(),
  tags: z.array(z.string()).min(1).optional(),
  forkedFrom: originSchema.optional(),
})

/** `<tag>:run:<id>`, format 2, with `<tag>:ctx:<id>` as `ctx`; without one its context is that of its first entry. */
export const runHashSchema = z.looseObject({
  v: z.literal('2'),
  proc: z.string(),
  ver: z.string(),
  state: z.string(),
  status: z.string(),
  ctx: jsonText(jsonObject).optional(),
  rev: whole,
  seq: whole,
  ev: jsonText(eventSchema).optional(),
  err: jsonText(errorSchema).optional(),
  blk: jsonText(z.array(z.unknown())).optional(),
  kept: jsonText(jsonObject).optional(),
  drive: z.literal('manual').optional(),
  tmo: whole.optional(),
  job: whole.optional(),
  zt: whole.optional(),
  st: whole.optional(),
  rt: whole.optional(),
  sl: whole.optional(),
  rl: whole.optional(),
  att: whole.optional(),
  fx: z.literal('1').optional(),
  more: jsonText(moreSchema).optional(),
  t0: whole,
  te: whole,
  t1: whole.optional(),
})
export type RunHash = z.infer<typeof runHashSchema>

/** One value of `<tag>:sent:<id>`: what the sender of an event with this id was told, and is told whenever it comes again. */
export const answerSchema = z.looseObject({
  accepted: z.boolean(),
  state: z.string(),
  reason: z.string().optional(),
  buffered: z.literal(true).optional(),
})

export type Answer = z.infer<typeof answerSchema>

/** One element of `<tag>:hist:<id>`. */
export const entrySchema = z.looseObject({
  at: z.number(),
  seq: z.int(),
  type: z.string(),
  revision: z.int().optional(),
  state: z.string().optional(),
  status: z.string().optional(),
  context: jsonObject.optional(),
  patch: jsonObject.optional(),
  event: eventSchema.optional(),
  error: errorSchema.optional(),
  blocked: z.array(z.unknown()).optional(),
  kept: z.literal(true).optional(),
  compensable: z.literal(true).optional(),
  mayHaveActed: z.literal(true).optional(),
  held: heldSchema.optional(),
  mail: z.int().min(0).optional(),
  compensates: visitSchema.optional(),
  cause: z.enum(['failure', 'request']).optional(),
  rollbackError: errorSchema.optional(),
  procedure: z.string().optional(),
  version: z.string().optional(),
  drive: z.string().optional(),
  timeoutMs: z.number().optional(),
  source: z.string().optional(),
  from: z.string().optional(),
  attempt: z.int().optional(),
  retryInMs: z.number().optional(),
  crashes: z.int().optional(),
  reason: z.string().optional(),
  delayMs: z.number().optional(),
  eventId: z.string().optional(),
  priority: z.int().optional(),
  tags: z.array(z.string()).optional(),
  forkedFrom: originSchema.optional(),
  remaining: z.array(visitSchema).optional(),
  unread: z.array(z.string()).optional(),
})
export type Entry = z.infer<typeof entrySchema>
