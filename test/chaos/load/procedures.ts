/** The procedures of the load, one for each kind of run, ready to be registered. */
import { type LoadPlan, MAX_RETRIES, MAX_UNDO_RETRIES, type RunKind, stepName } from './plan.js'

const action = { type: 'function', module: 'chaos', function: 'step' }
const backoff = { backoff_ms: 20, factor: 2, jitter: 0.5 }
const retry = { max_retries: MAX_RETRIES, ...backoff }
const undo = {
  type: 'function',
  module: 'chaos',
  function: 'undo',
  retry: { max_retries: MAX_UNDO_RETRIES, ...backoff },
}
const UNDO_SLEEP_MS = 500
const WILD_TIMEOUT_MS = 1_500

/** What undoes a saga's step: every third sleeps, and only the second leaves nothing to undo. */
export type UndoKind = 'action' | 'sleep' | 'none'

export function undoKindOf(step: number): UndoKind {
  if (step === 2) return 'none'
  return step % 3 === 0 ? 'sleep' : 'action'
}

function rollbackOf(step: number): object {
  const kinds = { action: { rollback: undo }, sleep: { rollback: { type: 'sleep', ms: UNDO_SLEEP_MS } }, none: {} }
  return kinds[undoKindOf(step)]
}

const steps = ({ states }: LoadPlan) => Array.from({ length: states }, (_, i) => i + 1)
const onward = (step: number, plan: LoadPlan, transitions: object[]) => (step < plan.states ? { transitions } : {})

function chain(plan: LoadPlan): object {
  const state = (n: number) => ({ action, retry, ...onward(n, plan, [{ event: 'success', target: stepName(n + 1) }]) })
  return Object.fromEntries(steps(plan).map((n) => [stepName(n), state(n)]))
}

function saga(plan: LoadPlan): object {
  const state = (n: number) => ({
    ...{ action, retry, ...rollbackOf(n) },
    ...onward(n, plan, [
      { event: 'success', target: stepName(n + 1) },
      { event: 'refused', target: 'refused' },
    ]),
  })
  return { ...Object.fromEntries(steps(plan).map((n) => [stepName(n), state(n)])), ...refusedBehind(plan) }
}

/** Only where a step can lead there: a state that cannot be reached is a fault. */
const refusedBehind = ({ states }: LoadPlan) => (states > 1 ? { refused: { outcome: 'failure' } } : {})

/** Name of the state behind the n-th step of a gated run, of the event that opens it, and of the field that it may set. */
export const gateName = (n: number) => `gate_${n}`
export const gateEvent = (n: number) => `go_${n}`
export const gateField = (n: number) => `pass_${n}`

/** Every other gate lets a field of the event into the context. */
export function takesField(gate: number): boolean {
  return gate % 2 === 1
}

function gated(plan: LoadPlan): object {
  const pair = (n: number) => [
    [stepName(n), { action, retry, ...onward(n, plan, [{ event: 'success', target: gateName(n) }]) }],
    ...(n < plan.states ? [[gateName(n), { transitions: [gateTransition(n)] }]] : []),
  ]
  return Object.fromEntries(steps(plan).flatMap(pair))
}

const gateTransition = (n: number) => ({
  ...{ event: gateEvent(n), target: stepName(n + 1) },
  ...(takesField(n) && { accept: [gateField(n)] }),
})

/** The second step is left when the context says so, the third in time or not at all; a caller may skip each. */
function wild(plan: LoadPlan): object {
  const guard = (n: number) => (n === 2 ? { guard: { field: 'open', op: 'eq', value: true } } : {})
  const state = (n: number) => ({
    ...{ action, retry, rollback: undo },
    ...(n === 3 && { timeout_ms: WILD_TIMEOUT_MS }),
    ...onward(n, plan, [
      { event: 'success', target: stepName(n + 1), ...guard(n) },
      { event: 'refused', target: 'refused' },
      { event: 'skip', target: stepName(n + 1) },
    ]),
  })
  return { ...Object.fromEntries(steps(plan).map((n) => [stepName(n), state(n)])), ...refusedBehind(plan) }
}

const ACTION_TIMEOUT_MS = 400
const HEARTBEAT_MS = 300
const STATE_TIMEOUT_MS = 600
const SLEEP_MS = 100

/** Each step is ended in another way when its action hangs; the last of four sleeps. */
function timed(plan: LoadPlan): object {
  const hanging = { ...action, function: 'timed' }
  const next = (n: number, event: string) => ({ event, target: stepName(n + 1) })
  const ways = (n: number): object[] => [
    { action: { ...hanging, timeout_ms: ACTION_TIMEOUT_MS }, rollback: undo },
    { action: { ...hanging, heartbeat_ms: HEARTBEAT_MS }, rollback: undo },
    // Without a transition for it, the timeout of the last state is an error.
    { action: hanging, timeout_ms: STATE_TIMEOUT_MS, ...(n % 2 === 0 && { rollback: undo }) },
    { action: { type: 'sleep', ms: SLEEP_MS } },
  ]
  const state = (n: number) => {
    const isTimed = n % ways(n).length === 3
    const transitions = [next(n, 'success'), ...(isTimed ? [next(n, 'timeout')] : [])]
    return { ...ways(n)[(n - 1) % ways(n).length], retry, ...onward(n, plan, transitions) }
  }
  return Object.fromEntries(steps(plan).map((n) => [stepName(n), state(n)]))
}

const STATES: Record<RunKind, (plan: LoadPlan) => object> = { chain, saga, gated, timed, wild }
const KINDS = Object.keys(STATES) as RunKind[]

/** The procedure of the runs of one kind. */
export function procedureOf(plan: LoadPlan, kind: RunKind) {
  return {
    name: `chaos_${kind}`,
    version: '1.0',
    on_failure: kind === 'chain' || kind === 'gated' ? 'fail' : 'rollback',
    definition: { initial_state: stepName(1), states: STATES[kind](plan) },
  }
}

export function allProcedures(plan: LoadPlan) {
  return KINDS.map((kind) => procedureOf(plan, kind))
}
