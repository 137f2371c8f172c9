import { describe, expect, it } from 'vitest'
import { evaluateGuard } from '../../src/guards/evaluate.js'
import type { GuardScope } from '../../src/guards/field-path.js'
import type { JsonObject } from '../../src/kernel/json.js'
import { LIMITS } from '../../src/kernel/limits.js'

const context: JsonObject = {
  n: 5,
  half: 0.5,
  zero: 0,
  env: 'prod',
  yes: true,
  no: false,
  nothing: null,
  text: 'Hello, World',
  rocket: 'a🚀b',
  big: 9007199254740992,
  items: [
    { name: 'a', price: 1 },
    { name: 'b', price: 2, sale: true },
  ],
  numbers: [1, 2, 3],
  map: { a: 1, b: { c: null }, 'my-key': 2 },
  empty: {},
}
const full: GuardScope = {
  context,
  event: { name: 'go', payload: { x: 1, list: ['p'] } },
  error: { code: 'E_BUSY', message: 'try later', state: 'build', attempt: 2 },
}

const verdict = (expression: string, scope: GuardScope = full) => evaluateGuard(expression, scope)

describe('expressions that hold', () => {
  it.each([
    // Numbers of JSON beside literals, as anyone would write them.
    'context.n > 3',
    'context.n == 5',
    'context.n != 4',
    '5 == context.n',
    'context.n + 1 > 5',
    'context.n + 0.5 == 5.5',
    'context.n - 1 == 4 && context.n * 2 == 10',
    'context.n / 2 == 2.5',
    'context.n % 2 == 1',
    '-context.n < 0 && -context.n == -5',
    '7 / 2 == 3 && -7 / 2 == -3 && 7 % 4 == 3',
    '1 + 1.5 == 2.5',
    'context.half < 1 && 1 > context.half',
    'context.half + context.n == 5.5',
    'context.big == 9007199254740992 && context.big != 9007199254740993 && context.big < 9007199254740993',
    '0x10 == 16 && 1e3 == 1000.0',
    'context.n in [1, 5] && !(context.n in [1, 2])',
    '5.0 in [context.n]',
    'context.numbers == [1, 2, 3] && [1.0, 2.0, 3.0] == context.numbers',
    'context.numbers[1] == 2 && context.numbers[context.n - 5] == 1',
    'size(context.items) > 1 && context.items.size() == 2',
    'size(context.items) / 2 == 1',
    // Texts.
    "context.env in ['staging', 'prod']",
    "context.env in ['staging', 1, null, 'prod']",
    "context.env == 'prod' && context.env != 'dev'",
    "context.env > 'a' && 'a' <= context.env",
    "context.text.startsWith('Hello') && context.text.endsWith('World') && context.text.contains(', ')",
    "context.text.lowerAscii() == 'hello, world' && context.text.upperAscii() == 'HELLO, WORLD'",
    "'İß'.lowerAscii() == 'İß' && ' a '.trim() == 'a'",
    "context.text.indexOf('o') == 4 && context.text.indexOf('o', 5) == 8 && context.text.indexOf('x') == -1",
    "context.text.lastIndexOf('o') == 8 && context.text.lastIndexOf('o', 7) == 4",
    "context.text.substring(7) == 'World' && context.text.substring(0, 5) == 'Hello'",
    "context.text.split(', ')[1] == 'World' && 'a-b-c'.split('-', 2) == ['a', 'b-c'] && 'a-b'.split('-', 0) == []",
    "'a-b'.split('-', -1) == ['a', 'b'] && ['a', 'b'].join('+') == 'a+b' && ['a', 'b'].join() == 'ab'",
    "context.env + '!' == 'prod!'",
    "size(context.rocket) == 3 && context.rocket.indexOf('b') == 2 && context.rocket.substring(1, 2) == '🚀'",
    "context.rocket.lastIndexOf('b') == 2 && context.rocket.indexOf('b', 2) == 2",
    // Conversions.
    "string(context.n) == '5' && string(2) == '2' && string(true) == 'true' && string('x') == 'x'",
    "int('42') == 42 && int('+1') == 1 && int(context.half + 1) == 1 && int(-1.9) == -1 && int(3) == 3",
    "double('1.5e1') == 15.0 && double(context.n) == 5.0 && double(2) == 2.0 && bool('true') && !bool('0') && bool(true)",
    'dyn(1) == 1.0',
    // Fields and keys.
    'has(context.map.b.c) && context.map.b.c == null',
    "context['env'] == 'prod' && context.map['my-key'] == 2",
    "'a' in context.map && !('x' in context.map) && 'env' in context",
    'context.empty == {} && size(context.empty) == 0 && size(context.map) == 3',
    "context.map.b == {'c': null} && {'a': [1, 2]}.a == [1, 2]",
    '{"a": 1, "b": 2}.b == 2',
    'context.nothing == null && context.yes && !context.no',
    // Values of different types are not equal, and no failure.
    "context.n != 'prod' && context.env != 5 && context.nothing != 0 && context.yes != 1 && context.items != 2",
    '!(context.n in ["5", null, true])',
    'context.map != [1] && context.numbers != {"a": 1} && context.numbers != [1, 2]',
    // Event and error.
    "event.name == 'go' && event.payload.x == 1 && 'p' in event.payload.list",
    "error.code == 'E_BUSY' && error.message.contains('later') && error.state == 'build' && error.attempt == 2",
    'has(event.payload) && has(event.payload.x) && has(error.code)',
    // Choices.
    'context.yes ? context.n > 1 : context.missing',
    'context.no ? context.missing : true',
    'context.n > 3 ? true : false',
    'false < true',
    // Lists and maps, gone over.
    'context.items.all(item, item.price > 0) && context.numbers.exists(n, n == 3)',
    'context.numbers.exists_one(n, n > 2) && !context.numbers.exists_one(n, n > 1)',
    'context.numbers.filter(n, n > 1) == [2, 3] && context.numbers.map(n, n * 2) == [2, 4, 6]',
    "context.items.map(i, has(i.sale), i.name) == ['b']",
    'context.items.filter(i, has(i.sale)).map(i, i.price).exists(p, p == 2)',
    "context.map.exists(key, key == 'my-key') && context.map.all(key, size(key) > 0)",
    '[].all(x, false) && ![].exists(x, true) && [1, 2].all(x, x > 0)',
    "context.items.all(i, i.name in ['a', context.env, 'b'])",
    'context.numbers + [4] == [1, 2, 3, 4]',
    // What is settled on one side does not ask about the other.
    'context.yes || context.missing',
    'context.missing || context.yes',
    '!(context.missing && context.no) && !(context.no && context.missing)',
    'context.items.exists(i, i.sale) && !context.items.all(i, i.sale && i.price > 5)',
    // White space and comments.
    ' \n context.n // five \n > \t 3 ',
  ])('%s', (expression) => {
    expect(verdict(expression)).toEqual({ holds: true })
  })
})

describe('expressions that do not hold', () => {
  it.each([
    'context.n > 5',
    'context.n < 5 || context.no',
    "context.env == 'PROD'",
    'has(context.missing)',
    'has(context.missing.deeper.still)',
    'has(context.env.field)',
    'has(context.numbers.length)',
    'has(context.nothing.field)',
    "context.n in ['5']",
    'context.yes && context.no',
    'context.items.all(i, has(i.sale))',
    'context.nothing == 0',
    'false',
  ])('%s', (expression) => {
    expect(verdict(expression)).toEqual({ holds: false })
  })
})

describe('expressions that cannot be evaluated say why', () => {
  it.each([
    ['context.missing == 1', 'context.missing is missing'],
    ['context.map.x.y > 1', 'context.map.x is missing'],
    ['context.env.x == 1', 'context.env is a string and has no field x'],
    ['context.nothing.x == 1', 'context.nothing is null and has no field x'],
    ["context.map['x'] == 1", "there is no such key, in context.map['x']"],
    ['context.map[1] == 1', 'a map has no key that is a number'],
    ['context.numbers[3] == 1', 'there is no item 3, in context.numbers[3]'],
    ['context.numbers[-1] == 1', 'there is no item -1'],
    ['context.numbers[context.half] == 1', 'there is no item 0.5'],
    ["context.numbers['length'] == 3", 'a list has no item at a string'],
    ['context.numbers.length == 3', 'context.numbers is a list and has no field length'],
    ['context.env[0] == "p"', 'a string has no items'],
    ["context.n > '3'", 'cannot order a number and a string, in context.n'],
    ['context.nothing < context.n', 'cannot order null and a number'],
    ['context.n + context.env == 1', 'cannot add a number and a string'],
    ['context.map - 1 == 1', 'cannot subtract a map and a number'],
    ['-context.env == 1', 'cannot negate a string'],
    ['context.n / context.zero > 1', 'division by zero, in context.n / context.zero'],
    ['context.n / 0 > 1', 'division by zero'],
    ['1 / 0 > 1', 'division by zero'],
    ['1.5 / 0.0 > 1.0', 'division by zero'],
    ['context.n % 0 == 0', 'division by zero'],
    ['9223372036854775807 + 1 > 0', 'the whole number is too large'],
    ['int(1e300) > 0', 'the whole number is too large'],
    ['context.n * 1e308 > 1', 'the number is too large'],
    ['context.n', 'context.n is a number, not true or false'],
    ['context.missing', 'context.missing is missing'],
    ['!context.n', 'context.n is a number, not true or false'],
    ['context.env ? true : false', 'context.env is a string, not true or false'],
    ['context.n && context.yes', 'context.n is a number, not true or false'],
    ['context.missing && context.yes', 'context.missing is missing'],
    ['context.missing || context.no', 'context.missing is missing'],
    ['context.no || context.missing', 'context.missing is missing'],
    ['context.yes ? context.missing : true', 'context.missing is missing'],
    ["'a' in context.env", 'cannot look for something in a string'],
    ['context.n.startsWith("a")', 'a string was expected, not a number'],
    ['context.env.startsWith(context.n)', 'a string was expected, not a number'],
    ['size(context.n) > 1', 'a number has no size'],
    ['int(context.env) == 1', 'a string is no whole number'],
    ["int('0x10') == 1", 'a string is no whole number'],
    ['double(context.env) == 1.0', 'a string is no number'],
    ["double('NaN') == 1.0", 'a string is no number'],
    ['bool(context.env)', 'a string is no boolean'],
    ["string(context.map) == ''", 'a map is no text'],
    ["context.text.indexOf('o', 99) == 1", 'there is no position 99'],
    ["context.text.substring(2, 1) == ''", 'it ends before it begins'],
    ["context.rocket.substring(4) == ''", 'there is no position 4'],
    ["context.numbers.join() == ''", 'a string was expected, not a number'],
    ['context.env.all(c, true)', 'context.env is a string and has no items'],
    ['context.items.all(i, i.sale)', 'i.sale is missing'],
    ['context.items.exists(i, i.price > 5 || i.sale == false)', 'i.sale is missing'],
    ['context.items.exists_one(i, i.sale)', 'i.sale is missing'],
    ['context.items.filter(i, i.sale) == []', 'i.sale is missing'],
    ['context.items.map(i, i.sale) == []', 'i.sale is missing'],
    ['context.numbers.all(n, n)', 'n is a number, not true or false'],
  ])('%s: %s', (expression, reason) => {
    const { holds, failure } = verdict(expression)
    expect(holds).toBe(false)
    expect(failure).toContain(`the guard cannot be evaluated: ${reason}`)
    expect(failure).not.toContain('\n')
  })

  it.each([
    'context.# == 1',
    'context.s.# == 1',
    "context.s < 1 || 'a' + '#' == context.s + 1",
    'context.s[size("#")] == 1',
  ])('in a few words, however long those of the expression are: %s', (form) => {
    const { failure } = verdict(form.replace('#', 'n'.repeat(4_000)), { context: { s: 'text' } })
    expect(failure?.length).toBeLessThan(250)
  })

  it('neither does one hold that registration would have refused', () => {
    expect(verdict('context.n >')).toEqual({ holds: false, failure: expect.stringContaining('ends too early') })
    expect(verdict('process.exit()').failure).toContain('exit() at character 9 does not exist')
    expect(verdict('x'.repeat(LIMITS.expressionChars + 1)).failure).toContain('at most 4096 characters')
  })
})

describe('the scope', () => {
  const bare: GuardScope = { context: {} }

  it('without a payload, an event or an error has() is false, and reading is a failure', () => {
    const nameOnly: GuardScope = { context: {}, event: { name: 'go' } }
    expect(verdict('has(event.payload) || has(event.payload.x)', nameOnly)).toEqual({ holds: false })
    expect(verdict('event.payload == null', nameOnly).failure).toContain('event.payload is missing')
    expect(verdict('has(event.name) || has(error.code) || has(error.attempt)', bare)).toEqual({ holds: false })
    expect(verdict("error.code == 'E_BUSY'", bare).failure).toContain('error.code is missing')
    expect(verdict("!has(error.code) || error.code == 'E_BUSY'", bare)).toEqual({ holds: true })
    expect(
      verdict('has(event.payload) && event.payload == null', { context: {}, event: { name: 'e', payload: null } }),
    ).toEqual({
      holds: true,
    })
  })

  it('shows of event and error the declared fields only', () => {
    const more = {
      context: { field: 'secret' },
      event: { name: 'go', secret: 1 },
      error: { code: 'C', message: 'm', secret: 1 },
    }
    expect(verdict('event[context.field] == 1', more).failure).toContain('no such key')
    expect(verdict('error[context.field] == 1', more).failure).toContain('no such key')
  })

  const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'prototype']

  it.each(NAMES)('%s is a key like any other, and nothing without one', (name) => {
    const path = name === '__proto__' || name === 'prototype' ? `context['${name}']` : `context.${name}`
    expect(verdict(`'${name}' in context || '${name}' in context.m`, { context: { m: {} } })).toEqual({ holds: false })
    expect(verdict(`${path} == 1`, bare)).toMatchObject({ holds: false, failure: expect.any(String) })
    expect(verdict(`context.list['${name}'] == 1`, { context: { list: [] } }).failure).toContain('no item')
    expect(verdict(`context.text['${name}'] == 1`, { context: { text: '' } }).failure).toContain('no items')
    const own: GuardScope = { context: JSON.parse(`{"${name}": 1, "m": {"${name}": {}}, "other": {"a": {}}}`) }
    expect(verdict(`${path} == 1 && '${name}' in context && size(context.m) == 1`, own)).toEqual({ holds: true })
    expect(
      verdict(`context.m == {'${name}': {}} && context.m != context.other && context.m != {'a': {}}`, own),
    ).toEqual({
      holds: true,
    })
    expect(verdict(`context.exists(key, key == '${name}')`, own)).toEqual({ holds: true })
  })

  it('is not changed, and is not copied where it stands', () => {
    const frozen = JSON.parse(JSON.stringify(full), (_key, value) => Object.freeze(value))
    expect(verdict('(context.numbers + [1]).map(n, n + 1).filter(n, n > 1).size() == 4', frozen)).toEqual({
      holds: true,
    })
  })
})

describe('inside a structured guard', () => {
  it('expressions and conditions stand side by side', () => {
    const condition = { field: 'n', op: 'eq', value: 5 } as const
    expect(evaluateGuard({ all: ['context.n > 3', condition, { not: "context.env == 'dev'" }] }, full)).toEqual({
      holds: true,
    })
    expect(evaluateGuard({ any: ['context.missing > 3', condition] }, full)).toEqual({ holds: true })
    expect(evaluateGuard({ not: 'context.missing > 3' }, full)).toEqual({ holds: false, failure: expect.any(String) })
    expect(evaluateGuard({ all: ['context.missing > 3', 'context.no'] }, full)).toEqual({ holds: false })
  })
})
