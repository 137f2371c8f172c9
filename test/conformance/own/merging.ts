import type { Json, JsonObject } from '../../../src/kernel/json.js'
import type { FsmCase } from '../fsm-case.js'
import { fn, fsm, on, parks, send, step, wait, walks } from './dialect.js'

const once: Record<string, JsonObject> = { a: step(fn('f'), 'z'), z: {} }

/** A function's result on a context, and keys of the context then. */
function merge(
  id: string,
  source: string,
  input: JsonObject,
  ok: unknown,
  context_exact: JsonObject,
  absent?: string[],
) {
  return fsm(id, source, once, {
    input,
    functions: { f: [{ ok }] },
    expect: walks(['a', 'z'], { context_exact, ...(absent && { context_absent: absent }) }),
  })
}

const deep = (levels: number): Json => (levels === 0 ? 'bottom' : { d: deep(levels - 1) })
const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`k${i}`, i]))
/** As JSON text: in an object literal `__proto__` would set the prototype. */
const PROTO = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": 1}, "toString": 0}')
const text = 'tab\t newline\n quote" backslash\\ nul\u0000 line\u2028 lone\ud800 rocket🚀 عربي'

const results: FsmCase[] = [
  merge('c-null', 'a null is a value', { a: 1 }, { a: null, b: null }, { a: null, b: null }),
  merge('c-array', 'arrays are replaced, not joined', { l: [1, 2, 3] }, { l: [9] }, { l: [9] }),
  merge(
    'c-empties',
    'empty objects and arrays stay what they are',
    {},
    { o: {}, l: [], n: { l: [], o: {} } },
    {
      o: {},
      l: [],
      n: { l: [], o: {} },
    },
  ),
  merge(
    'c-input-empties',
    'empties of the input survive a merge beside them',
    { o: {}, l: [], s: '' },
    { n: 1 },
    {
      o: {},
      l: [],
      s: '',
      n: 1,
    },
  ),
  merge(
    'c-nested',
    'a nested object is replaced as a whole',
    { o: { x: { y: 1 } } },
    { o: { x: { z: 1 } } },
    {
      o: { x: { z: 1 } },
    },
  ),
  merge('c-empty-patch', 'an empty result changes nothing', { a: 1 }, {}, { a: 1 }),
  merge(
    'c-numbers',
    'numbers come back exactly',
    {},
    { n: [9007199254740991, -9007199254740991, 1e300, 5e-324, 0.1, 1e21] },
    {
      n: [9007199254740991, -9007199254740991, 1e300, 5e-324, 0.1, 1e21],
    },
  ),
  merge('c-unicode', 'any text comes back exactly, in keys too', {}, { [text]: text }, { [text]: text }),
  merge('c-proto', 'keys that objects inherit are keys like any other', { a: 1 }, PROTO, { a: 1, ...PROTO }),
  merge(
    'c-odd-keys',
    'an empty key and keys with dots are keys',
    { '': 1 },
    { 'a.b': 2, ' ': 3 },
    {
      '': 1,
      'a.b': 2,
      ' ': 3,
    },
  ),
  merge('c-deep', 'thirty levels deep', {}, { deep: deep(30) }, { deep: deep(30) }),
  merge('c-many', 'two thousand keys', {}, many, many),
  merge('c-long', 'a text of 100 KB', {}, { s: 'ü'.repeat(50_000) }, { s: 'ü'.repeat(50_000) }),
  merge('c-text-result', 'a text is no patch', { a: 1 }, 'text', { a: 1 }, ['0', 'length']),
  merge('c-list-result', 'a list is no patch', { a: 1 }, [{ b: 1 }], { a: 1 }, ['0', 'b']),
  merge('c-number-result', 'a number is no patch', { a: 1 }, 7, { a: 1 }),
  merge('c-null-result', 'null is no patch', { a: 1 }, null, { a: 1 }),
  merge('c-false-result', 'false is no failure', { a: 1 }, false, { a: 1 }),
]

const flows: FsmCase[] = [
  fsm(
    'c-through-states',
    'each result is merged over those before',
    { a: step(fn('f'), 'b'), b: step(fn('g'), 'c'), c: step({ type: 'noop' }, 'z'), z: { action: fn('h') } },
    {
      input: { n: 0, kept: [1] },
      functions: { f: [{ ok: { n: 1, f: 1 } }], g: [{ ok: { n: 2 } }], h: [{ ok: { n: 3, h: null } }] },
      expect: walks(['a', 'b', 'c', 'z'], {
        context_exact: { n: 3, f: 1, h: null, kept: [1] },
        call_order: ['f', 'g', 'h'],
      }),
    },
  ),
  fsm('c-input-proto', 'an input with inherited names', once, {
    input: PROTO,
    functions: { f: [{ ok: { n: 1 } }] },
    expect: walks(['a', 'z'], { context_exact: { n: 1, ...PROTO } }),
  }),
  fsm(
    'c-payload',
    'the payload of a taken event is merged',
    { w: wait(on('go', 'z')), z: {} },
    {
      input: { a: 1, b: 1, o: { x: 1 } },
      steps: [send('go', { b: null, o: { y: 2 }, l: [] })],
      expect: walks(['w', 'z'], { context_exact: { a: 1, b: null, o: { y: 2 }, l: [] } }),
    },
  ),
  fsm(
    'c-payload-proto',
    'a payload with inherited names',
    { w: wait(on('go', 'z')), z: {} },
    {
      steps: [send('go', PROTO)],
      expect: walks(['w', 'z'], { context_exact: PROTO }),
    },
  ),
  ...(
    [
      ['list', [1, { a: 2 }]],
      ['text', 'text'],
      ['null', null],
      ['number', 0],
    ] as [string, Json][]
  ).map(([name, payload]) =>
    fsm(
      `c-payload-${name}`,
      `a payload that is a ${name} is seen by guards and not merged`,
      {
        w: wait(on('go', 'z', { field: 'event.payload', op: 'eq', value: payload })),
        z: {},
      },
      {
        input: { a: 1 },
        steps: [send('go', payload)],
        expect: walks(['w', 'z'], { context_exact: { a: 1 }, context_absent: ['0', 'length'] }),
      },
    ),
  ),
  fsm(
    'c-ignored-payload',
    'the payload of an ignored event is not merged',
    { w: wait(on('go', 'z')), z: {} },
    {
      input: { a: 1 },
      steps: [send('other', { a: 2, b: 2 })],
      expect: parks(['w'], { ignored: ['other'], context_exact: { a: 1 }, context_absent: ['b'] }),
    },
  ),
  fsm(
    'c-action-after-payload',
    'an action overwrites what a payload brought',
    {
      w: wait(on('go', 'a')),
      ...once,
    },
    {
      functions: { f: [{ ok: { n: 'action' } }] },
      steps: [send('go', { n: 'payload', m: 'payload' })],
      expect: walks(['w', 'a', 'z'], { context_exact: { n: 'action', m: 'payload' } }),
    },
  ),
  fsm(
    'c-failed-patch',
    'what a failed attempt might have returned is not merged',
    {
      a: { action: fn('f'), retry: { max_retries: 1, backoff_ms: 1000 }, transitions: [on('success', 'z')] },
      z: {},
    },
    {
      functions: { f: [{ error: 'x', ok: { bad: 1 } }, { ok: { good: 1 } }] },
      expect: walks(['a', 'z'], { context_exact: { good: 1 }, context_absent: ['bad'], calls: { f: 2 } }),
    },
  ),
]

export const mergeCases: FsmCase[] = [...results, ...flows]
