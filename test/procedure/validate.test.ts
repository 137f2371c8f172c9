import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProcessionError } from '../../src/kernel/errors.js'
import type { Json } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { parseProcedure, parseProcedureText } from '../../src/procedure/validate.js'
import { briefFaultsOf, documentOf, faultsOf, refusalOf, SEED, withAction, withTransition } from './documents.js'

const numbered = (count: number, make: (index: number) => unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`s${index}`, make(index)]))

describe('parseProcedure', () => {
  it('accepts the document of the design, as given, once everything in it works', () => {
    const { procedure, warnings } = parseProcedure(SEED, { notYet: [] })
    expect(procedure).toEqual(SEED)
    expect(procedure).not.toBe(SEED)
    expect(warnings).toEqual([])
  })

  it('reports eight different faults at once, each at its place and with its remedy', () => {
    const document = {
      name: 'ship/it',
      version: '1',
      timeout_ms: '30s',
      definition: {
        initial_state: 'pack',
        states: {
          pack: {
            action: { type: 'slep', ms: 5 },
            retry: { max_retries: 2, factor: 0.5 },
            transitions: [
              { event: 'success', target: 'sned', guard: { any: [{ field: 'n', op: '>', value: 1 }] } },
              { event: 'error' },
            ],
          },
          'to send': { transitoins: [] },
          send: { outcome: 'success', transitions: [{ event: 'success', target: 'to send' }] },
          lost: {},
        },
      },
    }
    const faults = faultsOf(document).map(({ path, code, message }) => [path, code, message])
    expect(faults).toEqual([
      ['name', 'bad_name', expect.stringContaining('found "ship/it"; expected a procedure name')],
      [
        'version',
        'bad_version',
        'found "1"; expected a version "X.Y" or "X.Y.Z" in a string, of decimal numbers without leading zeros',
      ],
      ['timeout_ms', 'wrong_type', 'found "30s"; expected an integer from 1 to 31622400000 (milliseconds)'],
      [
        'definition.states.pack.action.type',
        'unknown_action_type',
        expect.stringContaining('found "slep"; expected one of the action types log, noop, sleep'),
      ],
      [
        'definition.states.pack.transitions[0].guard.any[0].op',
        'invalid_value',
        `found ">"; expected one of the operators eq, ne, gt, gte, lt, lte, contains, in, exists; did you mean 'gt'?`,
      ],
      [
        'definition.states.pack.transitions[1].target',
        'missing_field',
        expect.stringContaining("'target' is missing; write the name of a state"),
      ],
      ['definition.states.pack.retry.factor', 'out_of_range', 'found 0.5; expected a number from 1 to 100'],
      [
        'definition.states["to send"].transitoins',
        'unknown_key',
        `unknown key "transitoins"; did you mean 'transitions'?`,
      ],
      [
        'definition.states.send.outcome',
        'misplaced_outcome',
        'found "success", but only a terminal state has an outcome; remove it, or remove the transitions',
      ],
      [
        'definition.states.pack.transitions[0].target',
        'unknown_target',
        `there is no state "sned"; did you mean 'send'?`,
      ],
      [
        'definition.states.lost',
        'unreachable_state',
        'no transitions lead from the initial state "pack" to "lost"; add one to it, or remove it',
      ],
    ])
  })

  it('names procedure and first faults in the message of the error', () => {
    const error = refusalOf(() => parseProcedure(documentOf({ a: { x: 1 } }, { name: 'ship', max_retries: -1 })))
    expect(error.code).toBe('invalid_schema')
    expect(error.message).toBe(
      'procedure "ship" is refused, 2 faults: max_retries: found -1; expected an integer from 0 to 1000; ' +
        'definition.states.a.x: unknown key "x"; the keys here are action, transitions, retry, timeout_ms, rollback, outcome, pool, description, metadata',
    )
  })

  it.each([null, 5, 'text', [], true])('refuses %j as a whole', (input) => {
    expect(briefFaultsOf(input)).toEqual([' wrong_type'])
  })

  it('asks for every missing field', () => {
    expect(briefFaultsOf({})).toEqual(['name missing_field', 'version missing_field', 'definition missing_field'])
    expect(briefFaultsOf({ name: 'p', version: '1.0', definition: {} })).toEqual([
      'definition.initial_state missing_field',
      'definition.states missing_field',
    ])
  })
})

describe('numbers', () => {
  it.each<[object, string]>([
    [{ timeout_ms: 0 }, 'timeout_ms out_of_range'],
    [{ timeout_ms: 1.5 }, 'timeout_ms wrong_type'],
    [{ timeout_ms: null }, 'timeout_ms wrong_type'],
    [{ timeout_ms: LIMITS.durationMs + 1 }, 'timeout_ms out_of_range'],
    [{ max_retries: -1 }, 'max_retries out_of_range'],
    [{ max_retries: LIMITS.retries + 1 }, 'max_retries out_of_range'],
    [{ max_retries: '3' }, 'max_retries wrong_type'],
    [{ max_retries: true }, 'max_retries wrong_type'],
    [{ max_retries: 1e300 }, 'max_retries out_of_range'],
  ])('%j: %s', (more, fault) => {
    expect(briefFaultsOf(documentOf({ a: {} }, more))).toEqual([fault])
  })

  it.each<[object, string]>([
    [{ max_retries: 0.5 }, 'max_retries wrong_type'],
    [{ backoff_ms: -1 }, 'backoff_ms out_of_range'],
    [{ factor: 0.99 }, 'factor out_of_range'],
    [{ factor: LIMITS.retryFactor + 1 }, 'factor out_of_range'],
    [{ max_backoff_ms: '1s' }, 'max_backoff_ms wrong_type'],
    [{ jitter: 1.1 }, 'jitter out_of_range'],
    [{ jitter: -0.1 }, 'jitter out_of_range'],
    [{ on: [] }, 'on out_of_range'],
    [{ on: 'E' }, 'on wrong_type'],
    [{ on: ['E', 5] }, 'on[1] wrong_type'],
    [{ not_on: [''] }, 'not_on[0] out_of_range'],
    [{ not_on: Array(101).fill('E') }, 'not_on over_limit'],
    [{ retries: 3 }, 'retries unknown_key'],
  ])('retry %j: %s', (retry, fault) => {
    expect(briefFaultsOf(documentOf({ a: { action: { type: 'noop' }, retry } }))).toEqual([
      `definition.states.a.retry.${fault}`,
    ])
  })

  it('accepts the ends of every range', () => {
    const retry = { max_retries: 0, backoff_ms: 0, factor: 1, max_backoff_ms: 0, jitter: 1 }
    const most = {
      max_retries: 1000,
      backoff_ms: LIMITS.durationMs,
      factor: 100,
      max_backoff_ms: LIMITS.durationMs,
      jitter: 0,
    }
    for (const policy of [retry, most, {}])
      expect(briefFaultsOf(documentOf({ a: { action: null, retry: policy } }))).toEqual([])
  })
})

describe('names', () => {
  it.each([
    'Wait X Seconds',
    'Job Complete?',
    'größe',
    '状態',
    '0',
    '#!$',
    'a.b',
    'constructor',
    'hasOwnProperty',
    'x'.repeat(128),
  ])('a state or event may be called %j', (name) => {
    const document = documentOf({ a: { transitions: [{ event: name, target: name }] }, [name]: {} })
    expect(briefFaultsOf(document)).toEqual([])
  })

  it.each(['', ' ', 'a\nb', 'a\u0000', 'x'.repeat(129), '\ud800', '\u2028'])('but not %j', (name) => {
    expect(briefFaultsOf(withTransition({ event: name }))).toEqual([
      'definition.states.a.transitions[0].event bad_name',
    ])
    expect(briefFaultsOf(withTransition({ target: name }))).toEqual([
      'definition.states.a.transitions[0].target bad_name',
    ])
    const place = `definition.states[${JSON.stringify(name)}]`
    const states = briefFaultsOf(documentOf({ a: {}, [name]: {} }))
    expect(states).toEqual([name.length > 128 ? `definition.states.${name} bad_name` : `${place} bad_name`])
  })

  it.each(['p', 'deploy_workflow', 'Deploy 2.0-beta', '_x', 'übung', '9'])('a procedure may be called %j', (name) => {
    expect(briefFaultsOf(documentOf({ a: {} }, { name }))).toEqual([])
  })

  it.each([
    '',
    ' p',
    'p ',
    'p.',
    '.p',
    '-p',
    'a/b',
    'a:b',
    'a@1.0',
    '{a}',
    'a\\b',
    'a\nb',
    'a%b',
    'x'.repeat(129),
    'u\u0308',
  ])('a procedure may not be called %j', (name) => {
    expect(briefFaultsOf(documentOf({ a: {} }, { name }))).toEqual(['name bad_name'])
  })

  it('takes __proto__ as a name like any other, everywhere', () => {
    const text = `{"name":"p","version":"1.0","metadata":{"__proto__":1},"definition":{"initial_state":"__proto__","states":{
      "__proto__":{"transitions":[{"event":"__proto__","target":"constructor","guard":{"field":"__proto__","op":"exists"}}]},
      "constructor":{"action":{"type":"set_context","values":{"__proto__":{"x":1}}}}}}}`
    const { procedure } = parseProcedureText(text)
    expect(JSON.parse(JSON.stringify(procedure))).toEqual(JSON.parse(text))
    expect(Object.keys(procedure.definition.states)).toEqual(['__proto__', 'constructor'])
    const broken = JSON.parse('{"a":{"transitions":[{"event":"e","target":"__proto__"}]},"__proto__":{"x":1}}')
    expect(briefFaultsOf(documentOf(broken))).toEqual(['definition.states.__proto__.x unknown_key'])
    expect(briefFaultsOf(withTransition({ target: '__proto__' }))).toEqual([
      'definition.states.a.transitions[0].target unknown_target',
    ])
    expect(briefFaultsOf(documentOf(JSON.parse('{"a":{"__proto__":{}}}')))).toEqual([
      'definition.states.a.__proto__ unknown_key',
    ])
  })
})

describe('actions', () => {
  const at = 'definition.states.a.action'

  it.each<object>([
    { type: 'log', message: 'hi' },
    { type: 'log', message: '', level: 'warn', fields: { a: [1] } },
    { type: 'noop', timeout_ms: 5, heartbeat_ms: 2, isolate: false },
    { type: 'sleep', ms: 0 },
    { type: 'fail' },
    { type: 'fail', code: 'E', message: 'm' },
    { type: 'set_context', values: {} },
    { type: 'validate', rules: [{ field: 'a.b', op: 'exists', message: 'needed' }] },
    { type: 'conditional', field: 'a', op: 'gt', value: 3 },
    { type: 'conditional', field: 'a', op: 'exists', true_event: 'yes', false_event: 'no' },
    { type: 'function', module: 'm', function: 'f', args: { a: 1 } },
    { module: 'Mimo.Log', function: 'execute', timeout_ms: 1 },
    { type: 'http', method: 'POST', url: 'https://x', headers: { a: 'b' }, body: [1], result_key: 'r' },
    { type: 'procedure', name: 'child', version: 'latest', context: {} },
    { type: 'parallel', branches: [{ name: 'x' }], join: 'all' },
    { type: 'map', items: 'order.items', procedure: 'item', concurrency: 5, join: { any: 1 } },
    { type: 'triples.match', anything: [1] },
    { type: 'vector.nearest', k: 3 },
  ])('accepts %j', (action) => {
    expect(briefFaultsOf(withAction(action))).toEqual([])
  })

  it.each<[unknown, string[]]>([
    ['log', [' wrong_type']],
    [[], [' wrong_type']],
    [{}, ['.type missing_field']],
    [{ type: null }, ['.type wrong_type']],
    [{ type: 'teleport', x: 1 }, ['.type unknown_action_type']],
    [{ type: 'constructor' }, ['.type unknown_action_type']],
    [{ type: 'vector.' }, ['.type unknown_action_type']],
    [{ module: 'm' }, ['.function missing_field']],
    [{ function: 'f', module: 7 }, ['.module wrong_type']],
    [{ type: 'function' }, ['.module missing_field', '.function missing_field']],
    [{ type: 'function', module: 'm', function: '', args: 'x' }, ['.function out_of_range', '.args wrong_type']],
    [{ type: 'noop', ms: 5 }, ['.ms unknown_key']],
    [{ type: 'noop', timeout_ms: 0, isolate: 'no' }, ['.timeout_ms out_of_range', '.isolate wrong_type']],
    [{ type: 'sleep' }, ['.ms missing_field']],
    [{ type: 'sleep', ms: -1 }, ['.ms out_of_range']],
    [
      { type: 'log', message: 5, level: 'fatal', fields: [] },
      ['.message wrong_type', '.level invalid_value', '.fields wrong_type'],
    ],
    [{ type: 'fail', code: '' }, ['.code out_of_range']],
    [{ type: 'set_context' }, ['.values missing_field']],
    [{ type: 'validate', rules: [] }, ['.rules out_of_range']],
    [
      { type: 'validate', rules: [{ field: 'a', op: 'eq' }, 3] },
      ['.rules[0].value missing_field', '.rules[1] wrong_type'],
    ],
    [{ type: 'conditional', field: 'a', op: 'in', value: 'abc' }, ['.value wrong_type']],
    [{ type: 'conditional', field: 'a', op: 'eq', value: 1, true_event: '' }, ['.true_event bad_name']],
    [{ type: 'noop', timeout_ms: 10, heartbeat_ms: 10 }, ['.heartbeat_ms out_of_range']],
    [{ type: 'http', url: '', headers: { a: 1 } }, ['.url out_of_range', '.headers.a wrong_type']],
    [{ type: 'parallel', branches: [3] }, ['.branches[0] wrong_type']],
  ])('refuses %j', (action, faults) => {
    expect(briefFaultsOf(withAction(action))).toEqual(faults.map((fault) => at + fault))
  })

  it('null is no action, and no rollback and no description', () => {
    expect(briefFaultsOf(documentOf({ a: { action: null, rollback: null, description: null } }))).toEqual([])
  })
})

describe('transitions', () => {
  const at = 'definition.states.a.transitions'

  it.each<[unknown, string[]]>([
    [null, [' wrong_type']],
    [{}, [' wrong_type']],
    ['x', [' wrong_type']],
    [[null], ['[0] wrong_type']],
    [[{ target: 'a' }], ['[0].event missing_field']],
    [[{ event: 5, target: ['a'] }], ['[0].event wrong_type', '[0].target wrong_type']],
    [[{ event: 'e', target: 'a', guard: null }], ['[0].guard wrong_type']],
    [[{ event: 'e', target: 'a', guard: {} }], ['[0].guard.field missing_field', '[0].guard.op missing_field']],
    [[{ event: 'e', target: 'a', guard: { all: [], any: [] } }], ['[0].guard bad_guard']],
    [[{ event: 'e', target: 'a', accept: false }], ['[0].accept invalid_value']],
    [[{ event: 'e', target: 'a', accept: [] }], ['[0].accept out_of_range']],
    [[{ event: 'e', target: 'a', accept: ['x', 1] }], ['[0].accept[1] wrong_type']],
    [[{ event: 'e', target: 'nowhere' }], ['[0].target unknown_target']],
    [Array(101).fill({ event: 'e', target: 'a' }), [' over_limit']],
  ])('%j', (transitions, faults) => {
    expect(briefFaultsOf(documentOf({ a: { transitions } }))).toEqual(faults.map((fault) => at + fault))
  })

  it.each([true, ['x'], ['__proto__', 'y']])('accept may be %j', (accept) => {
    expect(briefFaultsOf(withTransition({ accept }))).toEqual([])
  })
})

describe('bounds', () => {
  it('states, bytes and nesting are bounded', () => {
    const chain = (count: number) =>
      numbered(count, (i) => (i + 1 < count ? { transitions: [{ event: 'e', target: `s${i + 1}` }] } : {}))
    const most = { name: 'p', version: '1.0', definition: { initial_state: 's0', states: chain(LIMITS.states) } }
    expect(briefFaultsOf(most)).toEqual([])
    expect(briefFaultsOf(documentOf({ a: {}, ...chain(LIMITS.states) }))[0]).toBe('definition.states over_limit')
    expect(briefFaultsOf(documentOf({}))).toEqual(['definition.states out_of_range'])
    expect(briefFaultsOf(documentOf({ a: {} }, { description: 'x'.repeat(LIMITS.definitionBytes) }))).toEqual([
      ' over_limit',
    ])
    let nested: Json = 0
    for (let depth = 1; depth < LIMITS.jsonDepth; depth++) nested = [nested]
    expect(briefFaultsOf(documentOf({ a: {} }, { metadata: { x: (nested as Json[])[0] } }))).toEqual([])
    expect(briefFaultsOf(documentOf({ a: {} }, { metadata: { x: nested } }))[0]).toMatch(
      /^metadata\.x(\[0\])+ over_limit$/,
    )
  })

  it('a value that contains itself, or is shared without end, is refused at once', () => {
    const cyclic: Record<string, unknown> = documentOf({ a: {} })
    cyclic.metadata = { twice: [cyclic, cyclic] }
    expect(briefFaultsOf(cyclic)).toEqual(['metadata.twice[0] not_json'])
    let shared: unknown = 0
    for (let depth = 0; depth < 25; depth++) shared = [shared, shared]
    expect(briefFaultsOf(documentOf({ a: {} }, { metadata: { shared } }))).toEqual([' over_limit'])
    let deep: unknown = 0
    for (let depth = 0; depth < 100_000; depth++) deep = [deep]
    expect(faultsOf(deep).map(({ code }) => code)).toEqual(['over_limit'])
  })

  it('more faults than anyone reads are refused without trouble', () => {
    const states = numbered(800, () => ({ transitions: Array(80).fill({}) }))
    const error = refusalOf(() => parseProcedure(documentOf({ a: {}, ...states })))
    expect(error.issues.length).toBe(500)
    const guard = { any: Array(250).fill({}) }
    expect(
      faultsOf(documentOf({ a: { transitions: Array(90).fill({ event: 'e', target: 'a', guard }) } })).length,
    ).toBe(500)
  })

  it('what JSON cannot say is refused at its place', () => {
    const metadata = {
      f() {},
      u: undefined,
      n: Number.NaN,
      i: [1, Number.POSITIVE_INFINITY],
      b: 1n,
      d: new Date(0),
      m: new Map(),
      s: Symbol('s'),
    }
    const paths = ['f', 'u', 'n', 'i[1]', 'b', 'd', 'm', 's'].map((key) => `metadata.${key} not_json`)
    expect(briefFaultsOf(documentOf({ a: {} }, { metadata }))).toEqual(paths)
    expect(briefFaultsOf(documentOf({ a: { description: undefined } }))).toEqual([
      'definition.states.a.description not_json',
    ])
  })
})

describe('parseProcedureText', () => {
  const text = JSON.stringify(documentOf({ a: {} }), null, 2)

  it('reads a document, also behind a byte order mark', () => {
    expect(parseProcedureText(text).procedure).toEqual(documentOf({ a: {} }))
    expect(parseProcedureText(`\ufeff${text}`).procedure.name).toBe('p')
  })

  it.each([
    ['{\n  "name": "p",\n  "version": 1.0.0\n}', 'line 3, column 17: "." where "," or "}" was expected'],
    ['', 'line 1, column 1: the end of the text where a value was expected'],
    ['{"name": "p"', 'line 1, column 13: the end of the text where "," or "}" was expected'],
    ['name: p', 'line 1, column 1: "n" where a value was expected'],
  ])('says where %j is broken', (broken, message) => {
    const error = refusalOf(() => parseProcedureText(broken))
    expect(error.code).toBe('invalid_json')
    expect(error.message).toContain(message)
    expect(error.issues).toHaveLength(1)
  })

  it('refuses a state that is given twice, beside every other fault', () => {
    const twice = '{"name":"p","version":"1","definition":{"initial_state":"a","states":{"a":{},"a":{}}}}'
    const { issues } = refusalOf(() => parseProcedureText(twice))
    expect(issues.map(({ path, code }) => `${path} ${code}`)).toEqual([
      'version bad_version',
      'definition.states.a duplicate_key',
    ])
  })

  it('refuses excessive depth and length before parsing', () => {
    expect(refusalOf(() => parseProcedureText('['.repeat(1_000_000))).issues[0]?.code).toBe('over_limit')
    expect(refusalOf(() => parseProcedureText(' '.repeat(5 * LIMITS.definitionBytes))).issues[0]?.code).toBe(
      'over_limit',
    )
    expect(refusalOf(() => parseProcedureText('['.repeat(100))).issues[0]?.code).toBe('over_limit')
  })

  it('refuses what is no text', () => {
    expect(refusalOf(() => parseProcedureText(5 as never)).code).toBe('invalid_argument')
  })
})

describe('laws', () => {
  /** Runs `parse`, and fails on anything thrown but a ProcessionError whose issues are complete. */
  function expectDecent(parse: () => unknown): void {
    try {
      parse()
    } catch (error) {
      if (!(error instanceof ProcessionError)) throw error
      expect(['invalid_schema', 'not_supported_yet', 'invalid_json']).toContain(error.code)
      expect(error.issues.length).toBeGreaterThan(0)
      for (const issue of error.issues) {
        expect(issue.code).toMatch(/^[a-z_]+$/)
        expect(issue.message).not.toMatch(/Invalid input|\[object/)
        expect(issue.message.length).toBeLessThan(700)
      }
    }
  }

  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom({}, [], null, '', 'success', '__proto__', -1, { all: [] }),
  )

  /** The paths of everything inside a document. */
  function placesIn(document: Json, path: (string | number)[] = []): (string | number)[][] {
    if (typeof document !== 'object' || document === null) return [path]
    const entries: [string | number, Json][] = Array.isArray(document)
      ? [...document.entries()]
      : Object.entries(document)
    return [path, ...entries.flatMap(([key, item]) => placesIn(item, [...path, key]))]
  }

  /** A copy in which the value at `path` is replaced, or taken out for `undefined`. */
  function changed(document: Json, [key, ...rest]: (string | number)[], replacement: unknown): unknown {
    if (key === undefined) return replacement
    const copy: unknown = structuredClone(document)
    const holder = copy as Record<string | number, unknown>
    const item = changed(holder[key] as Json, rest, replacement)
    if (item === undefined) delete holder[key]
    else holder[key] = item
    return copy
  }

  const places = placesIn(SEED as Json)

  it('never throws anything but a ProcessionError on any JSON', () => {
    fc.assert(fc.property(fc.jsonValue(), (input) => expectDecent(() => parseProcedure(input))))
    fc.assert(fc.property(fc.anything(), (input) => expectDecent(() => parseProcedure(input))))
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => expectDecent(() => parseProcedureText(text))))
  })

  it('nor on a document that is valid but for some places, and refuses one with an unknown key', () => {
    const mutation = fc.tuple(fc.constantFrom(...places.slice(1)), fc.option(value, { nil: undefined }))
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        let document: unknown = SEED
        for (const [path, replacement] of mutations) {
          try {
            document = changed(document as Json, path, replacement)
          } catch {
            // An earlier mutation took this place away.
          }
        }
        expectDecent(() => parseProcedure(document, { notYet: [] }))
        expectDecent(() => parseProcedure(document))
      }),
      { numRuns: 400 },
    )
    // Where the format leaves the keys to the author: metadata, the context's schema, arguments of functions.
    const open = (path: (string | number)[]) =>
      path.some((key) => ['metadata', 'context_schema', 'args', 'value'].includes(String(key)))
    for (const path of places) {
      const here = path.reduce<unknown>((part, key) => (part as Record<string | number, unknown>)[key], SEED)
      if (open(path) || typeof here !== 'object' || Array.isArray(here) || path.at(-1) === 'states') continue
      const document = changed(SEED as Json, path, { ...(here as object), zzz: 1 })
      expect(briefFaultsOf(document).some((fault) => fault.endsWith('zzz unknown_key'))).toBe(true)
    }
  })
})
