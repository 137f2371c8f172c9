/**
 * What Procession and BullMQ leave in Redis, as the checker reads it: key names, the run hash, history entries, definitions.
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

/** `<runId>.<revision>.<seq of the commit that enqueued it>`. */
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

const errorSchema = z.looseObject({ code: z.string(), message: z.string(), state: z.string() })

/** `<tag>:run:<id>`, format 1. */
export const runHashSchema = z.looseObject({
  v: z.literal('1'),
  proc: z.string(),
  ver: z.string(),
  state: z.string(),
  status: z.string(),
  ctx: jsonText(jsonObject),
  rev: whole,
  seq: whole,
  err: jsonText(errorSchema).optional(),
  drive: z.literal('manual').optional(),
  job: whole.optional(),
  zt: whole.optional(),
  st: whole.optional(),
  rt: whole.optional(),
  t0: whole,
  te: whole,
  t1: whole.optional(),
})
export type RunHash = z.infer<typeof runHashSchema>

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
  event: z.looseObject({ name: z.string() }).optional(),
  error: errorSchema.optional(),
  procedure: z.string().optional(),
  version: z.string().optional(),
  drive: z.string().optional(),
  source: z.string().optional(),
  from: z.string().optional(),
  attempt: z.int().optional(),
  retryInMs: z.number().optional(),
  crashes: z.int().optional(),
})
export type Entry = z.infer<typeof entrySchema>

const actionSchema = z.looseObject({ type: z.string().optional() }).nullish()
const stateSchema = z.looseObject({
  action: actionSchema,
  transitions: z
    .array(z.looseObject({ event: z.string(), target: z.string(), guard: z.unknown().optional() }))
    .default([]),
  retry: z.looseObject({ max_retries: z.int().optional() }).optional(),
  outcome: z.string().optional(),
})
export type StateDocument = z.infer<typeof stateSchema>

/** A procedure, as far as the checker needs it; the same document that was registered. */
export const procedureSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  max_retries: z.int().default(3),
  definition: z.looseObject({ initial_state: z.string(), states: z.record(z.string(), stateSchema) }),
})
export type ProcedureDocument = z.infer<typeof procedureSchema>

/** The state called `name`; undefined when the definition has none. */
export function stateOf(procedure: ProcedureDocument, name: string): StateDocument | undefined {
  const { states } = procedure.definition
  return Object.hasOwn(states, name) ? states[name] : undefined
}

/** How a run stands that has just entered `state`. */
export function statusOnEntry(state: StateDocument): string {
  if (state.action) return 'running'
  if (state.transitions.length > 0) return 'waiting'
  return statusAtEnd(state)
}

/** How a run ends in a terminal state. */
export function statusAtEnd(state: StateDocument): string {
  return state.outcome === 'failure' ? 'failed' : 'completed'
}

/** Most attempts of a state's action in one visit, the first included. */
export function mostAttempts(procedure: ProcedureDocument, state: StateDocument): number {
  const takesErrors = state.transitions.some((transition) => transition.event === 'error')
  if (state.retry) return 1 + (state.retry.max_retries ?? procedure.max_retries)
  return 1 + (takesErrors ? 0 : procedure.max_retries)
}
