import type { FsmCase, ScriptedResult } from '../fsm-case.js'
import { check, fn, fsm, on, step, walks, when } from './dialect.js'

const OK: ScriptedResult[] = [{ ok: {} }]
const undone = (name: string, target: string, ...others: ReturnType<typeof on>[]) => ({
  ...step(fn(name), target, ...others),
  rollback: fn(`r${name}`),
})
const functions = (more: Record<string, ScriptedResult[]>) => ({ a: OK, b: OK, c: OK, ra: OK, rb: OK, rc: OK, ...more })
const abc = { A: undone('a', 'B'), B: undone('b', 'C'), C: undone('c', 'D'), D: {} }
const rolledBack = (path: string[], error_code: string, call_order: string[]) => ({
  final_state: path.at(-1)!,
  status: 'rolled_back',
  path,
  error_code,
  call_order,
})

export const rollbackCases: FsmCase[] = [
  fsm('u-reverse', 'what was done is undone in reverse order, the reported failure is not', abc, {
    procedure: { max_retries: 0 },
    functions: functions({ c: [{ error: 'boom' }] }),
    expect: rolledBack(['A', 'B', 'C'], 'boom', ['a', 'b', 'c', 'rb', 'ra']),
  }),
  fsm('u-first-fails', 'there may be nothing to undo', abc, {
    procedure: { max_retries: 0 },
    functions: functions({ a: [{ error: 'boom' }] }),
    expect: rolledBack(['A'], 'boom', ['a']),
  }),
  fsm('u-completed', 'a run that completes undoes nothing', abc, {
    functions: functions({}),
    expect: walks(['A', 'B', 'C', 'D'], { call_order: ['a', 'b', 'c'] }),
  }),
  fsm(
    'u-handled',
    'an error that a transition takes undoes nothing',
    { ...abc, C: undone('c', 'D', on('error', 'E')), E: {} },
    {
      functions: functions({ c: [{ error: 'boom' }] }),
      expect: walks(['A', 'B', 'C', 'E'], { call_order: ['a', 'b', 'c'] }),
    },
  ),
  fsm(
    'u-timed-out',
    'an action that timed out may have had an effect, and is undone',
    { ...abc, C: { ...undone('c', 'D'), timeout_ms: 1_000 } },
    {
      procedure: { max_retries: 0 },
      functions: functions({ c: [{ never: true }] }),
      expect: rolledBack(['A', 'B', 'C'], 'action_timeout', ['a', 'b', 'c', 'rc', 'rb', 'ra']),
    },
  ),
  fsm(
    'u-twice',
    'a state visited twice is undone twice',
    {
      A: { ...undone('a', 'B', on('again', 'A')), transitions: [on('again', 'A'), on('success', 'B')] },
      B: step(fn('b'), 'D'),
      D: {},
    },
    {
      procedure: { max_retries: 0 },
      functions: functions({ a: [{ event: 'again' }, { ok: {} }], b: [{ error: 'boom' }] }),
      expect: rolledBack(['A', 'A', 'B'], 'boom', ['a', 'a', 'b', 'ra', 'ra']),
    },
  ),
  fsm('u-retried', 'compensations are retried by the policy of the procedure', abc, {
    procedure: { max_retries: 1 },
    functions: functions({ c: [{ error: 'boom' }], rb: [{ error: 'busy' }, { ok: {} }] }),
    expect: rolledBack(['A', 'B', 'C'], 'boom', ['a', 'b', 'c', 'c', 'rb', 'rb', 'ra']),
  }),
  fsm(
    'u-without',
    'a state without a rollback is passed over',
    { ...abc, B: step(fn('b'), 'C') },
    {
      procedure: { max_retries: 0 },
      functions: functions({ c: [{ error: 'boom' }] }),
      expect: rolledBack(['A', 'B', 'C'], 'boom', ['a', 'b', 'c', 'ra']),
    },
  ),
  fsm('u-fails', 'a compensation that fails for good stops the rollback', abc, {
    procedure: { max_retries: 0 },
    functions: functions({ c: [{ error: 'boom' }], rb: [{ error: 'stuck' }] }),
    expect: { final_state: 'C', status: 'failed', path: ['A', 'B', 'C'], call_order: ['a', 'b', 'c', 'rb'] },
  }),
  fsm(
    'u-interrupt',
    'an interrupt undoes nothing unless asked',
    { ...abc, C: { ...undone('c', 'D'), transitions: [on('success', 'D', when('never', 'exists'))] } },
    {
      functions: functions({}),
      steps: [{ settle: true }, check('C'), { interrupt: 'enough' }],
      expect: { final_state: 'C', status: 'interrupted', path: ['A', 'B', 'C'], call_order: ['a', 'b', 'c'] },
    },
  ),
  fsm(
    'u-run-timeout',
    'the run timeout is a failure',
    { ...abc, C: { ...undone('c', 'D'), transitions: [on('success', 'D', when('never', 'exists'))] } },
    {
      procedure: { timeout_ms: 20_000 },
      functions: functions({}),
      expect: rolledBack(['A', 'B', 'C'], 'run_timeout', ['a', 'b', 'c', 'rc', 'rb', 'ra']),
    },
  ),
  fsm(
    'u-outcome',
    'a terminal state with the outcome failure is a failure',
    { A: undone('a', 'B'), B: { outcome: 'failure' } },
    {
      functions: functions({}),
      expect: { final_state: 'B', status: 'rolled_back', path: ['A', 'B'], call_order: ['a', 'ra'] },
      also_accept: [{ status: 'failed', call_order: ['a'] }],
      ambiguity: 'whether a declared failure is one that rolls back',
    },
  ),
]
