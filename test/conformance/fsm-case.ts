import { z } from 'zod'
import type { JsonObject } from '../../src/kernel/json.js'

/*
 * The neutral dialect in which cases of state machines are written down (test/conformance/fsm-sample.json): a procedure,
 * what its functions return call by call, what a caller does, and what is to be seen at the end. Strict: a key that the
 * runner does not know is an error, so that nothing of a case is passed over in silence.
 */

const names = z.array(z.string())
const counts = z.record(z.string(), z.int().min(0))
const whole = z.int().min(0)

/** What a scripted function does on one call. The delay comes first; `never` does not return at all. */
const resultSchema = z.strictObject({
  ok: z.unknown().optional(),
  error: z.string().optional(),
  event: z.string().optional(),
  delay_ms: whole.optional(),
  never: z.unknown().optional(),
  throw: z.unknown().optional(),
})

const expectationShape = {
  final_state: z.string().optional(),
  status: z.string().optional(),
  path: names.optional(),
  calls: counts.optional(),
  call_order: names.optional(),
  retry_delays_ms: z.array(z.number()).optional(),
  ignored: names.optional(),
  context_subset: z.custom<JsonObject>().optional(),
  context_exact: z.custom<JsonObject>().optional(),
  context_absent: names.optional(),
  error_code: z.string().optional(),
}
const expectationSchema = z.strictObject(expectationShape)

const stepShape = {
  send_event: z.string().optional(),
  payload: z.unknown().optional(),
  no_settle_before: z.unknown().optional(),
  advance_ms: whole.optional(),
  check: z.strictObject({ state: z.string().optional(), ...expectationShape }).optional(),
  settle: z.unknown().optional(),
  interrupt: z.unknown().optional(),
  crash_worker: z.unknown().optional(),
  restart_worker: z.unknown().optional(),
}
/** `{repeat: 3, steps: […]}`, or `repeat: 3` beside a step's own key. */
const stepSchema = z.strictObject({
  ...stepShape,
  repeat: whole.optional(),
  steps: z.array(z.strictObject(stepShape)).optional(),
})

const caseSchema = z.strictObject({
  id: z.string().min(1),
  source: z.string().optional(),
  tags: names.optional(),
  procedure: z.looseObject({ definition: z.looseObject({ states: z.custom<JsonObject>() }) }),
  input: z.custom<JsonObject>().optional(),
  functions: z.record(z.string(), z.array(resultSchema).min(1)).optional(),
  steps: z.array(stepSchema).optional(),
  expect: expectationSchema,
  also_accept: z.array(expectationSchema).optional(),
  ambiguity: z.string().optional(),
})

export type ScriptedResult = z.infer<typeof resultSchema>
export type Expectation = z.infer<typeof expectationSchema>
export type CaseStep = z.infer<typeof stepSchema>
export type FsmCase = z.infer<typeof caseSchema>

/** The cases of a file. Throws on a key or value outside the dialect. The cases are the input's own objects: nothing is lost. */
export function parseCases(input: unknown): FsmCase[] {
  z.array(caseSchema).parse(input)
  return input as FsmCase[]
}

/** The steps as they are done, with every `repeat` written out. */
export function flatSteps(steps: readonly CaseStep[] = []): CaseStep[] {
  return steps.flatMap(({ repeat = 1, steps: inner, ...own }) =>
    Array.from({ length: repeat }, () => inner ?? [own]).flat(),
  )
}

/** How often a case kills its worker. */
export function killsIn(testCase: FsmCase): number {
  return flatSteps(testCase.steps).filter((step) => step.crash_worker !== undefined).length
}

/** Whether what happens depends on who is faster: an event sent without waiting for what came before. */
export function races(testCase: FsmCase): boolean {
  return testCase.tags?.includes('race') === true
}
