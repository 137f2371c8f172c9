import fc from 'fast-check'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { patch } from '../support/procedures.arbitrary.js'
import type { CaseStep, Control, ControlName, EventChoice, GeneratedCase, Weather } from './case.js'
import { maybe, playable, share, times } from './document.arbitrary.js'

/** Takes out what is undefined: JSON has no such thing, and neither has a caller's request. */
function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined)) as T
}

const event = fc
  .record({
    do: fc.constant('event' as const),
    pick: fc.nat({ max: 5 }),
    other: fc.constantFrom('go', 'success', 'error', 'timeout', 'toString', 'unknown'),
    payload: maybe(50, fc.oneof(share(85, patch as fc.Arbitrary<Json>), share(15, fc.constantFrom<Json>(3, 'text', null)))),
    deliver: maybe(38, fc.constantFrom('now' as const, 'when_ready' as const, 'when_ready' as const)),
    eventId: maybe(14, fc.constantFrom('e1', 'e2')),
  })
  .map((choice) => given(choice) as EventChoice)

const control = (name: ControlName) =>
  maybe(40, fc.constant('because')).map((reason) => given({ do: name, reason }) as Control)

const action = fc.oneof(
  share(56, event),
  share(10, control('pause')),
  share(9, control('resume')),
  share(3, control('cancel')),
  share(6, control('rollback')),
  share(6, control('retry')),
  share(3, control('reset')),
  share(7, fc.record({ do: fc.constant('update' as const), patch: patch as fc.Arbitrary<JsonObject> })),
)

const step: fc.Arbitrary<CaseStep> = fc.record({
  when: fc.oneof(
    share(40, fc.constant('rest' as const)),
    share(20, fc.constant('idle' as const)),
    share(40, fc.constant('still' as const)),
  ),
  afterMs: fc.oneof(share(75, fc.constant(0)), share(25, times(1, 3))),
  insists: fc.oneof(share(85, fc.constant(false)), share(15, fc.constant(true))),
  action,
})

const start = fc
  .record({
    drive: fc.oneof(share(92, fc.constant('auto' as const)), share(8, fc.constant('manual' as const))),
    delayMs: maybe(8, times(2)),
    timeoutMs: maybe(8, times(7, 11)),
    priority: maybe(5, fc.constant(3)),
    tags: maybe(5, fc.constant(['here'])),
  })
  .map((options) => given(options) as GeneratedCase['start'])

const weather: fc.Arbitrary<Weather> = fc.record({
  queueMs: fc.oneof(share(80, fc.constant(0)), share(20, fc.constantFrom(100, 500))),
  dice: fc.nat(),
  historyFullAt: fc.oneof(share(95, fc.constant(null)), share(5, fc.integer({ min: 2, max: 25 }))),
  deadlinesFirst: fc.boolean(),
})

/** A procedure, its functions' scripts, what a caller does and what else befalls the run. */
export const generatedCase: fc.Arbitrary<GeneratedCase> = fc
  .record({
    procedure: playable,
    context: fc.record({ n: fc.nat({ max: 2 }), env: fc.constantFrom('staging', 'prod'), flag: fc.boolean() }),
    start,
    steps: fc.array(step, { maxLength: 8 }),
    weather,
  })
  // As plain JSON, which is what a run is made of: arbitraries also make objects without a prototype.
  .map(({ procedure, ...rest }) => JSON.parse(JSON.stringify({ ...procedure, ...rest })) as GeneratedCase)
