import { describe, expect, it } from 'vitest'
import { evaluateGuard } from '../../src/guards/evaluate.js'
import { guardSchema } from '../../src/guards/guard.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { NOT_YET } from '../../src/procedure/not-yet.js'
import { faultsOf, withTransition } from '../procedure/documents.js'

/** The fault of a guard that is this expression, as registration tells it; `undefined` when it is accepted. */
function faultOf(expression: string) {
  const faults = faultsOf(withTransition({ guard: expression }), { notYet: NOT_YET })
  expect(faults.length).toBeLessThan(2)
  if (faults[0]) {
    expect(faults[0].path).toBe('definition.states.a.transitions[0].guard')
    expect(faults[0].message).toMatch(/^found .*; expected [^\n]*$/)
  }
  return faults[0]
}

const codeOf = (expression: string) => faultOf(expression)?.code

describe('expressions that are refused at registration', () => {
  it.each([
    // Syntax, with the place.
    ['context.n >', 'ends too early'],
    ['   ', 'ends too early'],
    ['(context.n > 1', 'ends too early'],
    ['context.n === 1', '"=" at character 13 cannot stand there'],
    ['context.n > 1)', '")" at character 14 cannot stand there'],
    ['context.n > 1; process.exit()', '";" at character 14 cannot stand there'],
    ['context.é == 1', '"é" at character 9 cannot stand there; a field of such a name is read as context["name"]'],
    ['context.in == 1', 'a field of such a name is read as context["name"]'],
    ["context.s == 'abc", 'the text that begins at character 14 needs its closing quote'],
    ["context.s == '''abc", 'needs its closing quote'],
    ["'\\u00zz' == context.s", 'at character 2: Invalid Unicode escape'],
    ['context.n > 1e999', 'at character 13: Invalid number'],
    ['if == 1', "'if' at character 1 is a reserved word"],
    ['context.?a == 1', 'cannot stand there'],
    ['`a` == 1', 'cannot stand there'],
    // What is not declared.
    ['n > 1', "'n' at character 1 is unknown; write context.n"],
    ['context.my-key > 1', "'key' at character 12 is unknown"],
    ['constructor == 1', "'constructor' at character 1 is unknown"],
    ['string == context.n', "'string' at character 1 is unknown"],
    ['optional == context.n', "'optional' at character 1 is unknown"],
    ['google.protobuf == context.n', "'google' at character 1 is unknown"],
    ['process.env.HOME == ""', "'process' at character 1 is unknown"],
    ['event.pyload.x == 1', "'pyload' at character 7 is no field of event, which has name, payload"],
    ['has(event.pyload)', "'pyload' at character 11 is no field of event"],
    ["error.stack == ''", "'stack' at character 7 is no field of error, which has code, message, state, attempt"],
    ['context.items.all(x, y > 1)', "'y' at character 22 is unknown"],
    ['context.items.all(x, x > 1) && x > 1', "'x' at character 32 is unknown"],
    ['context.items.all(context, true)', 'context is taken'],
    // Functions.
    ['now() > 1', 'now() at character 1 does not exist; the functions are has, size'],
    ['context.s.exec()', 'exec() at character 11 does not exist; the methods are all, exists'],
    ['context.constructor.constructor("return 1")()', '"(" at character 44 cannot stand there'],
    ['context.constructor("return 1")', 'constructor() at character 9 does not exist'],
    ["timestamp('2024-01-01T00:00:00Z') == context.t", 'timestamp() at'],
    ["duration('1s') == context.d", 'duration() at'],
    ["bytes(context.s) == bytes('a')", 'bytes() at'],
    ['uint(context.n) == uint(1)', 'uint() at'],
    ['type(context.n) == type(1)', 'type() at'],
    ['context.b.json() == {}', 'json() at'],
    ['cel.bind(x, context.n, x > 1)', 'bind() at'],
    ['optional.of(1).hasValue()', 'hasValue() at'],
    ['contains(context.s, "a")', 'contains() at'],
    ['context.items.all(x)', 'all() at'],
    ['context.items.all(1, true)', 'at character 19'],
    ['all(x, true)', 'all() at'],
    ['context.s.toString() == ""', 'toString() at'],
    ['context.s.hasOwnProperty("a")', 'hasOwnProperty() at'],
    ["context.a.matches('x')", 'matches() at character 11 may take forever'],
    ["matches(context.a, 'x')", 'matches() at character 1 may take forever'],
    ["context.items.all(x, x.matches('(a+)+$'))", 'matches() at character 24 may take forever'],
    ['has(context)', 'has() at character 1 takes one path of names'],
    ['has(context.items[0].name)', 'takes one path of names'],
    ['has()', 'has() at character 1 takes one path'],
    // Types.
    ['1 + 1', 'a CEL expression that is true or false; this one gives int'],
    ["'x'", 'this one gives string'],
    ['context', 'this one gives map<string, dyn>'],
    ['context.items.map(x, x)', 'this one gives list'],
    ["1 + 'a' == 2", "'1 + 'a'' at character 1: there is no operation int + string"],
    ['event.name == 1', 'there is no operation string == int'],
    ['error != null', 'ask for a field, as in has(error.code)'],
    ['1 == 1.0', 'there is no operation int == double'],
    ["'a'.startsWith(5)", 'there is no function string.startsWith(int)'],
    ['context.s.size(1) == 1', 'there is no function dyn.size(int)'],
    ['context.a && 1', "got 'int'"],
    ["context.a ? true : 'x'", "got 'bool' and 'string'"],
    ['1 ? true : false', "got 'int'"],
    ["'a' in 'abc'", 'there is no operation string in string'],
    ['[1, 2]["a"] == 1', "got 'string'"],
    ['size(5) == 1', 'there is no function size(int)'],
    // Values that JSON has not, and what could make the checker's types grow.
    ["context.b == b'abc'", 'write the text at character 14 without b'],
    ['context.n == 1u', 'write the number at character 14 without u'],
    ['context.n == 9223372036854775808', 'the number at character 14 is too large'],
    ['{1: true}[1]', 'the key at character 2 must be text in quotes'],
    ['{context.s: true}.a', 'the key at character 2 must be text in quotes'],
    ['context.items.map(x, [x]).map(y, [y]) == []', 'x at character 23 cannot be put into a list or map inside map()'],
    // One macro inside another.
    ['context.items.all(x, x.all(y, y > 1))', 'all() at character 24 is inside another macro'],
    ['context.items.exists(x, context.items.map(y, y) == [])', 'map() at character 39 is inside another macro'],
    ['context.items.map(x, x > 1, x.tags.filter(t, t > 1)).size() > 1', 'filter() at character 36 is inside'],
    ['context.items.all(x, [1].exists_one(y, y == x) || true)', 'exists_one() at character 26 is inside'],
  ])('%s: %s', (expression, part) => {
    expect(faultOf(expression)).toMatchObject({ code: 'bad_guard', message: expect.stringContaining(part) })
    expect(evaluateGuard(expression, { context: {} })).toMatchObject({ holds: false, failure: expect.any(String) })
  })

  it('at their place inside a group, all at once', () => {
    const guard = { all: ['context.n > 1', { not: 'context.n >' }, { any: ['1'] }] }
    expect(faultsOf(withTransition({ guard })).map(({ path }) => path)).toEqual([
      'definition.states.a.transitions[0].guard.all[1].not',
      'definition.states.a.transitions[0].guard.all[2].any[0]',
    ])
  })

  it.each([
    '#',
    '#()',
    'context.#()',
    'event.#',
    '1 #',
    'context.a.all(x, #)',
    "'a' + # + 1",
    "1 + '#'",
    "{'#': 1}.b + 'a' == 1",
    '{#: 1} == 1',
  ])('in a few words, however long those of the expression are: %s', (form) => {
    const fault = faultOf(form.replace('#', 'n'.repeat(4_000)))
    expect(fault?.code).toBe('bad_guard')
    expect(fault?.message.length).toBeLessThan(600)
  })

  it('an empty expression is one fault', () => {
    expect(guardSchema.safeParse('').error?.issues).toHaveLength(1)
  })
})

describe('limits', () => {
  const overLimit = { code: 'over_limit' }

  it('of the text', () => {
    const padded = (length: number) => 'true'.padEnd(length)
    expect(faultOf(padded(LIMITS.expressionChars))).toBeUndefined()
    expect(faultOf(padded(LIMITS.expressionChars + 1))).toMatchObject(overLimit)
  })

  it('of the nodes', () => {
    // n terms and n - 1 operators.
    const chain = (terms: number) => Array(terms).fill('true').join('||')
    expect(faultOf(chain(LIMITS.expressionNodes / 2))).toBeUndefined()
    expect(faultOf(chain(LIMITS.expressionNodes / 2 + 1))).toMatchObject(overLimit)
    expect(faultOf(`${'!'.repeat(LIMITS.expressionNodes - 1)}true`)).toBeUndefined()
    expect(faultOf(`${'!'.repeat(LIMITS.expressionNodes)}true`)).toMatchObject(overLimit)
  })

  it('of the nesting', () => {
    const nested = (depth: number) => `${'('.repeat(depth)}true${')'.repeat(depth)}`
    expect(faultOf(nested(LIMITS.expressionDepth - 1))).toBeUndefined()
    expect(faultOf(nested(LIMITS.expressionDepth))).toMatchObject(overLimit)
    const path = (fields: number) => `has(context${'.a'.repeat(fields)})`
    expect(faultOf(path(LIMITS.expressionDepth - 2))).toBeUndefined()
    expect(faultOf(path(LIMITS.expressionDepth))).toMatchObject(overLimit)
  })

  it('of lists and maps that are written out', () => {
    const list = (items: number) => `context.n in [${Array(items).fill('1').join()}]`
    expect(faultOf(list(LIMITS.expressionItems))).toBeUndefined()
    expect(faultOf(list(LIMITS.expressionItems + 1))).toMatchObject(overLimit)
    const map = (entries: number) => `context == {${Array.from({ length: entries }, (_, i) => `'k${i}':1`).join()}}`
    expect(faultOf(map(LIMITS.expressionItems))).toBeUndefined()
    expect(faultOf(map(LIMITS.expressionItems + 1))).toMatchObject(overLimit)
    const deep = (depth: number) => `context.n == ${'['.repeat(depth)}${']'.repeat(depth)}`
    expect(faultOf(deep(LIMITS.expressionLiteralDepth))).toBeUndefined()
    expect(faultOf(deep(LIMITS.expressionLiteralDepth + 1))).toMatchObject(overLimit)
  })

  it.each([
    ['parentheses', `${'('.repeat(10_000)}true${')'.repeat(10_000)}`],
    ['open parentheses', '('.repeat(4_000)],
    ['negations', `${'!'.repeat(4_000)}true`],
    ['minus signs', `${'-'.repeat(4_000)}1 > 0`],
    ['brackets', '['.repeat(4_000)],
    ['braces', '{'.repeat(4_000)],
    ['fields', `context${'.a'.repeat(2_000)}`],
    ['indexes', `context${'[0]'.repeat(1_300)}`],
    ['choices', `true${'?true:true'.repeat(400)}`],
    ['terms', Array(1_000).fill('1').join('+')],
    ['items', `1 in [${Array(2_000).fill('1').join()}]`],
    ['a long list', `1 in [${Array(100_000).fill('1').join()}]`],
  ])('a great many %s are refused, and do no harm', (_what, expression) => {
    expect(codeOf(expression)).toBe('over_limit')
    expect(evaluateGuard(expression, { context: {} }).holds).toBe(false)
  })

  it('the guard around has limits of its own, in which an expression is one node', () => {
    const any = (members: number) => faultsOf(withTransition({ guard: { any: Array(members).fill('true') } }))
    expect(any(LIMITS.guardNodes - 1)).toEqual([])
    expect(any(LIMITS.guardNodes)).toMatchObject([overLimit])
  })
})

describe('work', () => {
  const zeros = (items: number) => Array<number>(items).fill(0)
  const TOO_MUCH = { holds: false, failure: expect.stringContaining(`more than ${LIMITS.expressionSteps} steps`) }

  it('goes over thousands of items', () => {
    expect(evaluateGuard('context.list.all(x, x == 0)', { context: { list: zeros(8_000) } })).toEqual({ holds: true })
    expect(evaluateGuard('!(1 in context.list)', { context: { list: zeros(40_000) } })).toEqual({ holds: true })
    const text = 'a'.repeat(250_000)
    expect(
      evaluateGuard("context.text.contains('aab') || size(context.text) == 250000", { context: { text } }),
    ).toEqual({
      holds: true,
    })
  })

  // Each of these would take from seconds to hours, or all of the memory.
  const list = zeros(100_000)
  const text = 'ab'.repeat(60_000)
  const map = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, index]))
  const objects = Array.from({ length: 10_000 }, (_, index) => ({ id: index }))
  const hostile = {
    list,
    text,
    other: `${text.slice(1)}a`,
    map,
    objects,
    same: structuredClone(objects),
    commas: ','.repeat(100_000),
  }

  it.each([
    'context.list.all(x, x == 0)',
    'context.list.all(x, !(1 in context.list))',
    'context.list.all(x, size(context.map) > 1)',
    'context.list.all(x, size(context.text) > 1)',
    "context.list.all(x, !context.text.contains('c'))",
    'context.list.all(x, context.text != context.other)',
    'context.list.all(x, context.text < context.other || true)',
    'context.list.all(x, context.objects == context.same)',
    'context.list.map(x, context.text + context.text).size() > 1',
    'context.list.map(x, context.list + context.list).size() > 1',
    "context.list.map(x, context.text.split('')).size() > 1",
    'context.list.map(x, context.text.upperAscii()).size() > 1',
    'context.list.map(x, context.text.indexOf("c")).size() > 1',
    'context.list.map(x, context.text.lastIndexOf("c", 9)).size() > 1',
    'context.list.map(x, context.text.substring(9)).size() > 1',
    'context.list.map(x, x).filter(x, true).exists_one(x, x == 1)',
    "context.text.split('').join(context.text) == ''",
    "context.commas.split(',').size() > 1",
    'context.list.exists(x, x.missing)',
    'context.map.all(a, true) && context.map.all(b, true)',
  ])('%s is given up after the same number of steps everywhere', (expression) => {
    expect(guardSchema.safeParse(expression).success).toBe(true)
    expect(evaluateGuard(expression, { context: hostile })).toEqual(TOO_MUCH)
  })

  it('cannot be hidden behind what would settle it, and is counted for all expressions of a guard together', () => {
    const all = 'context.list.all(x, x == 0)'
    expect(evaluateGuard(`${all} || true`, { context: { list } })).toEqual(TOO_MUCH)
    const half = { context: { list: zeros(6_000) } }
    expect(evaluateGuard({ all: [all, all] }, { context: { list: zeros(3_000) } })).toEqual({ holds: true })
    expect(evaluateGuard(all, half)).toEqual({ holds: true })
    expect(evaluateGuard({ all: [all, all, 'true'] }, half)).toEqual(TOO_MUCH)
    expect(evaluateGuard({ any: [{ not: all }, all, { field: 'list', op: 'exists' }] }, half)).toEqual({ holds: true })
  })
})
