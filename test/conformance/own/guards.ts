import type { Json, JsonObject } from '../../../src/kernel/json.js'
import type { FsmCase } from '../fsm-case.js'
import { fn, fsm, NOOP, on, parks, send, wait, walks, when } from './dialect.js'

/** Operator, what the context has (undefined: nothing), what the guard says, whether it holds. */
type Row = [op: string, found: Json | undefined, value: Json | undefined, holds: boolean]

const ROWS: Row[] = [
  ['eq', 1, 1, true],
  ['eq', 1, '1', false],
  ['eq', true, 1, false],
  ['eq', null, null, true],
  ['eq', undefined, null, false],
  ['eq', '', '', true],
  ['eq', 0, false, false],
  ['eq', { a: 1, b: [2] }, { b: [2], a: 1 }, true],
  ['eq', { a: 1 }, { a: 1, b: 2 }, false],
  ['eq', [1, 2], [2, 1], false],
  ['eq', [], {}, false],
  ['eq', 9007199254740991, 9007199254740991, true],
  ['eq', 1e21, 1e21, true],
  ['eq', 'é', 'e\u0301', false],
  ['eq', '🚀', '🚀', true],
  ['ne', 1, 2, true],
  ['ne', 1, 1, false],
  ['ne', '1', 1, true],
  ['ne', undefined, 1, true],
  ['ne', null, null, false],
  ['gt', 51, 50, true],
  ['gt', 50, 50, false],
  ['gt', 0.30000000000000004, 0.3, true],
  ['gt', '10', 9, false],
  ['gt', 'b', 'a', true],
  ['gt', 'B', 'a', false],
  ['gt', null, -1, false],
  ['gt', true, 0, false],
  ['gt', undefined, 0, false],
  ['gt', [2], 1, false],
  ['gte', 50, 50, true],
  ['gte', 49, 50, false],
  ['gte', 'a', 'a', true],
  ['gte', undefined, 0, false],
  ['lt', 49, 50, true],
  ['lt', 50, 50, false],
  ['lt', -1, 0, true],
  ['lt', null, 1, false],
  ['lt', undefined, 1, false],
  ['lte', 50, 50, true],
  ['lte', 51, 50, false],
  ['lte', 'Z', 'a', true],
  ['lte', '', 0, false],
  ['contains', 'hello', 'ell', true],
  ['contains', 'Hello', 'hello', false],
  ['contains', 'hello', '', true],
  ['contains', ['a', 'b'], 'b', true],
  ['contains', [1, 2], '1', false],
  ['contains', [{ a: 1 }], { a: 1 }, true],
  ['contains', [[1]], [1], true],
  ['contains', [null], null, true],
  ['contains', { a: 1 }, 'a', false],
  ['contains', 123, 2, false],
  ['contains', '123', 2, false],
  ['contains', undefined, 'a', false],
  ['in', 'a', ['a', 'b'], true],
  ['in', 'a', ['ab'], false],
  ['in', 1, ['1'], false],
  ['in', null, [null], true],
  ['in', undefined, [null], false],
  ['in', { a: 1 }, [{ a: 1 }], true],
  ['in', [], [[]], true],
  ['in', 'a', [], false],
  ['exists', 0, true, true],
  ['exists', null, true, true],
  ['exists', undefined, true, false],
  ['exists', undefined, false, true],
  ['exists', '', false, false],
  ['exists', false, undefined, true],
]

const branch = (guard: JsonObject | string): Record<string, JsonObject> => ({
  q: { action: NOOP, transitions: [on('success', 'yes', guard), on('success', 'no')] },
  yes: {},
  no: {},
})

const shown = (value: Json | undefined) => (value === undefined ? 'nothing' : JSON.stringify(value))

const operators: FsmCase[] = ROWS.map(([op, found, value, holds], index) =>
  fsm(`g-op-${index}`, `${shown(found)} ${op} ${shown(value)} is ${holds}`, branch(when('v', op, value)), {
    input: found === undefined ? {} : { v: found },
    expect: walks(['q', holds ? 'yes' : 'no']),
  }),
)

/** Field path, context, whether `exists` holds. */
const PATHS: [string, JsonObject, boolean][] = [
  ['a.b.c', { a: { b: { c: null } } }, true],
  ['a.b.c', { a: { b: 'c' } }, false],
  ['a.b', { 'a.b': 1 }, true],
  ['a.b.c', { a: { 'b.c': 1 } }, true],
  ['a.1', { a: [0, 0] }, true],
  ['a.2', { a: [0, 0] }, false],
  ['a.length', { a: [0, 0] }, false],
  ['a.length', { a: 'text' }, false],
  ['constructor', {}, false],
  ['__proto__', {}, false],
  ['toString', {}, false],
  ['a.constructor', { a: {} }, false],
  ['constructor', { constructor: 1 }, true],
  ['context.a', { a: 1 }, true],
  ['event.name', {}, true],
  ['event.payload', {}, false],
  ['error.code', {}, false],
  ['error', { error: 1 }, true],
  ['context.error', { error: 1 }, true],
  ['ключ.🚀', { ключ: { '🚀': 1 } }, true],
]

const paths = PATHS.map(([path, input, holds], index) =>
  fsm(
    `g-path-${index}`,
    `a field ${path} ${holds ? 'is' : 'is not'} in ${JSON.stringify(input)}`,
    branch(when(path, 'exists')),
    {
      input,
      expect: walks(['q', holds ? 'yes' : 'no']),
    },
  ),
)

const [T, F] = [when('n', 'eq', 1), when('n', 'eq', 2)]
const FORMS: [name: string, guard: JsonObject, holds: boolean][] = [
  ['all of true and true', { all: [T, T] }, true],
  ['all of true and false', { all: [T, F] }, false],
  ['all of one', { all: [T] }, true],
  ['any of false and true', { any: [F, T] }, true],
  ['any of false and false', { any: [F, F] }, false],
  ['not true', { not: T }, false],
  ['not false', { not: F }, true],
  ['not not true', { not: { not: T } }, true],
  ['not of a comparison with a missing field', { not: when('missing', 'gt', 0) }, true],
  ['not all', { not: { all: [T, F] } }, true],
  ['not any', { not: { any: [T, F] } }, false],
  ['any of all and not', { any: [{ all: [T, F] }, { not: F }] }, true],
  ['all of any and not', { all: [{ any: [F, T] }, { not: { any: [F, { all: [F, T] }] } }] }, true],
]

const forms = FORMS.map(([name, guard, holds], index) =>
  fsm(`g-form-${index}`, `${name} ${holds ? 'holds' : 'does not hold'}`, branch(guard), {
    input: { n: 1 },
    expect: walks(['q', holds ? 'yes' : 'no']),
  }),
)

const choices: FsmCase[] = [
  fsm(
    'g-first-in-order',
    'of several transitions that could be taken the first in the list is',
    {
      q: {
        action: NOOP,
        transitions: [on('success', 'x', F), on('success', 'y', T), on('success', 'z', T), on('success', 'x')],
      },
      x: {},
      y: {},
      z: {},
    },
    { input: { n: 1 }, expect: walks(['q', 'y']) },
  ),
  fsm(
    'g-other-events-first',
    'transitions of other events before it do not matter',
    { q: { action: NOOP, transitions: [on('error', 'x'), on('go', 'x'), on('success', 'y')] }, x: {}, y: {} },
    { expect: walks(['q', 'y']) },
  ),
  fsm(
    'g-sees-the-result',
    'the guard sees what the action has just returned',
    {
      q: { action: fn('f'), transitions: [on('success', 'yes', when('n', 'gt', 1)), on('success', 'no')] },
      yes: {},
      no: {},
    },
    { input: { n: 1 }, functions: { f: [{ ok: { n: 2 } }] }, expect: walks(['q', 'yes']) },
  ),
  fsm(
    'g-blocked-waits',
    'a success that every guard holds back leaves the run waiting, its result merged',
    { q: { action: fn('f'), transitions: [on('success', 'yes', when('go', 'eq', true))] }, yes: {} },
    { functions: { f: [{ ok: { did: 1 } }] }, expect: parks(['q'], { context_exact: { did: 1 }, calls: { f: 1 } }) },
  ),
  fsm(
    'g-blocked-then-sent',
    'a caller may send the event again, with a payload that the guard wants',
    {
      q: { action: fn('f'), transitions: [on('success', 'yes', when('approved', 'eq', true))] },
      yes: {},
    },
    {
      functions: { f: [{ ok: { did: 1 } }] },
      steps: [send('success'), send('success', { approved: false }), send('success', { approved: true })],
      expect: walks(['q', 'yes'], {
        ignored: ['success', 'success'],
        context_exact: { approved: true, did: 1 },
        calls: { f: 1 },
      }),
    },
  ),
  fsm(
    'g-payload-beats-context',
    'the guard sees the payload merged over the context',
    { w: wait(on('go', 'yes', when('n', 'eq', 2)), on('go', 'no')), yes: {}, no: {} },
    { input: { n: 1 }, steps: [send('go', { n: 2 })], expect: walks(['w', 'yes'], { context_exact: { n: 2 } }) },
  ),
  fsm(
    'g-event-payload-path',
    'event.payload and event.name can be asked for by path',
    {
      w: wait(
        on('go', 'no', when('event.payload.deep.0', 'eq', 'x')),
        on('go', 'yes', { all: [when('event.payload.deep.1', 'eq', 'x'), when('event.name', 'eq', 'go')] }),
      ),
      yes: {},
      no: {},
    },
    { steps: [send('go', { deep: ['y', 'x'] })], expect: walks(['w', 'yes']) },
  ),
  fsm(
    'g-blocked-event-leaves-nothing',
    'the payload of an event that a guard holds back is not merged',
    { w: wait(on('go', 'z', when('ok', 'eq', true))), z: {} },
    {
      input: { n: 1 },
      steps: [send('go', { n: 2, late: 1 })],
      expect: parks(['w'], { ignored: ['go'], context_exact: { n: 1 }, context_absent: ['late'] }),
    },
  ),
  fsm(
    'g-many',
    'of a hundred transitions for one event the one whose guard holds is taken',
    {
      q: {
        action: NOOP,
        transitions: Array.from({ length: 100 }, (_, i) => on('success', i === 99 ? 'yes' : 'no', when('n', 'eq', i))),
      },
      yes: {},
      no: {},
    },
    { input: { n: 99 }, expect: walks(['q', 'yes']) },
  ),
]

/** Guards as CEL expressions, which a guard of the dialect may be as well. */
const EXPRESSIONS: [guard: string, holds: boolean][] = [
  ['context.n > 1', false],
  ['context.n == 1 && context.s.startsWith("a")', true],
  ['context.missing == 1', false],
  ['event.name == "success"', true],
]

const expressions = EXPRESSIONS.map(([guard, holds], index) =>
  fsm(`g-cel-${index}`, `the expression ${guard} ${holds ? 'holds' : 'does not hold'}`, branch(guard), {
    input: { n: 1, s: 'abc' },
    expect: walks(['q', holds ? 'yes' : 'no']),
  }),
)

export const guardCases: FsmCase[] = [...operators, ...paths, ...forms, ...choices, ...expressions]
