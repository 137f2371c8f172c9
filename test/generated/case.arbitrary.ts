import fc from 'fast-check'
import type { Json, JsonObject } from '../../src/kernel/json.js'
import { patch } from '../support/procedures.arbitrary.js'
import {
  CALM,
  type CaseStep,
  type Control,
  type ControlName,
  type EventChoice,
  type GeneratedCase,
  type Weather,
} from './case.js'
import { key, playable } from './document.arbitrary.js'
import { given, maybe, share, times } from './weighted.js'

type When = CaseStep['when']

const payload = fc.oneof(
  share(65, patch as fc.Arbitrary<Json>),
  share(20, key),
  share(15, fc.constantFrom<Json>(3, 'text', null)),
)

function event(more: { [Name in 'deliver' | 'eventId']?: fc.Arbitrary<unknown> } = {}): fc.Arbitrary<EventChoice> {
  return fc
    .record({
      do: fc.constant('event' as const),
      pick: fc.oneof(share(70, fc.constant(0)), share(30, fc.nat({ max: 4 }))),
      other: fc.constantFrom('go', 'success', 'error', 'timeout', 'toString', 'unknown'),
      payload: maybe(60, payload),
      ...more,
    })
    .map((choice) => given(choice) as EventChoice)
}

const control = (name: ControlName): fc.Arbitrary<Control> =>
  maybe(40, fc.constant('because')).map((reason) => given({ do: name, reason }) as Control)

const afterwards = fc.oneof(share(70, fc.constant(0)), share(30, times(1, 3)))

function step(
  when: fc.Arbitrary<When>,
  action: fc.Arbitrary<CaseStep['action']>,
  insists = false,
): fc.Arbitrary<CaseStep> {
  return fc.record({ when, afterMs: afterwards, insists: fc.constant(insists), action })
}

const still = fc.constant<When>('still')
const rest = fc.constant<When>('rest')
const any = fc.constantFrom<When>('rest', 'idle', 'still', 'still')

const mend = fc.record({ do: fc.constant('mend' as const), patch: patch as fc.Arbitrary<JsonObject> })
const update = fc.record({ do: fc.constant('update' as const), patch: patch as fc.Arbitrary<JsonObject> })
const ahead = event({ deliver: fc.constant('when_ready') })
const anything = fc.oneof(
  share(6, event({ deliver: maybe(30, fc.constantFrom('now', 'when_ready')) })),
  ...(['pause', 'resume', 'cancel', 'rollback', 'retry', 'reset'] as const).map((name) => share(1, control(name))),
  share(1, update),
)

/** Steps that belong together: what happens in the midst of something else seldom comes about by chance alone. */
const scene: fc.Arbitrary<readonly CaseStep[]> = fc.oneof(
  share(40, fc.tuple(step(fc.constantFrom<When>('rest', 'idle'), event()))),
  share(13, fc.tuple(step(still, event()))),
  share(16, fc.array(step(still, ahead), { minLength: 1, maxLength: 3 })),
  share(
    9,
    fc.tuple(step(any, control('pause')), step(any, fc.oneof(event(), ahead, update)), step(any, control('resume'))),
  ),
  share(6, fc.tuple(step(still, control('pause')), step(any, control('resume')))),
  share(4, fc.tuple(step(still, control('pause')), step(rest, event()), step(rest, control('resume')))),
  share(4, fc.tuple(step(still, control('pause')), step(any, control('rollback')))),
  share(3, fc.tuple(step(still, control('pause')))),
  share(4, fc.tuple(step(any, control('rollback')))),
  share(9, fc.tuple(step(rest, control('rollback')), step(still, control('pause')), step(rest, control('resume')))),
  share(3, fc.tuple(step(rest, control('rollback')), step(still, control('cancel')))),
  share(8, fc.tuple(step(rest, control('retry')))),
  share(3, fc.tuple(step(any, control('reset')))),
  share(14, fc.tuple(step(rest, mend))),
  share(3, fc.array(step(any, event({ eventId: fc.constant('once') })), { minLength: 2, maxLength: 2 })),
  share(2, fc.tuple(step(any, control('cancel')))),
  share(8, fc.tuple(step(any, anything, true))),
)

const start = fc
  .record({
    drive: fc.oneof(share(93, fc.constant('auto' as const)), share(7, fc.constant('manual' as const))),
    delayMs: maybe(8, times(2)),
    timeoutMs: maybe(6, times(7, 11)),
    priority: maybe(5, fc.constant(3)),
    tags: maybe(5, fc.constant(['here'])),
  })
  .map((options) => given(options) as GeneratedCase['start'])

const storm: fc.Arbitrary<Weather> = fc.record({
  losses: fc.boolean(),
  queueMs: fc.constantFrom(0, 100, 500),
  dice: fc.nat(),
  historyFullAt: fc.oneof(share(75, fc.constant(null)), share(25, fc.integer({ min: 2, max: 20 }))),
  deadlinesFirst: fc.boolean(),
})

/** A procedure, its functions' scripts, what a caller does and what else befalls the run. */
const anyCase: fc.Arbitrary<GeneratedCase> = fc
  .record({
    procedure: playable,
    context: fc.record({ n: fc.nat({ max: 2 }), env: fc.constantFrom('staging', 'prod'), flag: fc.boolean() }),
    start,
    scenes: fc.array(scene, { maxLength: 6 }),
    weather: fc.oneof(share(75, fc.constant(CALM)), share(25, storm)),
  })
  .map(({ procedure, scenes, ...rest }) => ({ ...procedure, ...rest, steps: scenes.flat() }))
  // As plain JSON, which is what a run is made of: arbitraries also make objects without a prototype.
  .map((one) => JSON.parse(JSON.stringify(one)) as GeneratedCase)

/** Unbiased: small values by preference, as is usual, would make short runs. */
export const generatedCase = fc.noBias(anyCase)

/** Whether a case can be played on Redis too: nothing in it is left to chance there. */
export function isCalm({ weather, document }: GeneratedCase): boolean {
  const { losses, queueMs, historyFullAt } = weather
  return !losses && queueMs === 0 && historyFullAt === null && !JSON.stringify(document).includes('"jitter"')
}
