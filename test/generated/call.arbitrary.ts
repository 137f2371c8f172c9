import fc from 'fast-check'
import type { Json } from '../../src/kernel/json.js'
import { patch } from '../support/procedures.arbitrary.js'
import type { CallScript } from './case.js'
import { maybe, share, times, UNIT_MS } from './weighted.js'

/** Codes of errors. */
export const code = fc.constantFrom('E_A', 'E_B')

/** What a call does. Which event it emits is settled when it is known what its state's events are: of them, or any. */
const does: fc.Arbitrary<Pick<CallScript, 'does' | 'value' | 'event' | 'code'>> = fc.oneof(
  share(48, fc.record({ does: fc.constant('return' as const), value: patch as fc.Arbitrary<Json> })),
  share(6, fc.record({ does: fc.constant('return' as const), value: fc.constantFrom<Json>('text', 7, false, [1]) })),
  share(
    18,
    fc.record(
      {
        does: fc.constant('emit' as const),
        event: fc.constantFrom('0', '0', '1', '2', '3', 'again', 'error', 'timeout'),
        value: patch as fc.Arbitrary<Json>,
      },
      { requiredKeys: ['does', 'event'] },
    ),
  ),
  share(27, fc.record({ does: fc.constant('throw' as const), code })),
  share(3, fc.record({ does: fc.constant('throw_final' as const), code })),
  share(2, fc.constant({ does: 'return_nonsense' as const })),
)

/** How long a call takes; one that never ends listens to its signal. */
const lasts: fc.Arbitrary<Pick<CallScript, 'lastsMs' | 'listens'>> = fc.oneof(
  share(68, fc.constant({ lastsMs: 0, listens: true })),
  share(24, fc.record({ lastsMs: times(2, 4), listens: fc.boolean() })),
  share(8, fc.constant({ lastsMs: null, listens: true })),
)

const fate = maybe(20, fc.constantFrom('gives_back' as const, 'dies' as const))

const callScript: fc.Arbitrary<CallScript> = fc
  .tuple(does, lasts, fate)
  .map(([what, how, lost]) => ({ ...what, ...how, ...(lost && { fate: lost }) }))
/** What a function does call by call; the last one repeats. */
export const script = fc.array(callScript, { minLength: 1, maxLength: 4 })

/** A compensation that never ended would hold its run for ever; one that lasts can be met under way. */
export const ending = (calls: CallScript[]) =>
  calls.map((call) => ({
    ...call,
    lastsMs: call.lastsMs === 0 && call.does === 'return' ? 2 * UNIT_MS : (call.lastsMs ?? 0),
  }))
