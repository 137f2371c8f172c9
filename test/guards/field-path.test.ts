import { describe, expect, it } from 'vitest'
import { type GuardScope, readField } from '../../src/guards/field-path.js'

const scope: GuardScope = {
  context: {
    env: 'prod',
    order: { total: 5, items: [{ id: 'x' }, { id: 'y' }], nothing: null },
    'a.b': 1,
    a: { b: 2, 'c.d': { e: 3 } },
    error: 'my own',
    event: { name: 'mine' },
    text: 'abc',
  },
  event: { name: 'approve', payload: { by: 'eve', 'x.y': 7 } },
  error: { code: 'E_BUSY', message: 'busy', attempt: 2 },
}

describe('readField', () => {
  it.each([
    ['env', 'prod'],
    ['order.total', 5],
    ['order.items.1.id', 'y'],
    ['order.nothing', null],
    ['a.b', 1],
    ['a.c.d', { e: 3 }],
    ['event.name', 'approve'],
    ['event.payload.by', 'eve'],
    ['event.payload.x.y', 7],
    ['error.code', 'E_BUSY'],
    ['error.attempt', 2],
    ['context.env', 'prod'],
    ['context.error', 'my own'],
    ['context.event.name', 'mine'],
    ['context.a.b', 1],
  ])('%s is %j', (path, value) => {
    expect(readField(scope, path)).toEqual(value)
  })

  it('reads the whole event, error and context under their own words, but for keys that the context has', () => {
    const bare = { ...scope, context: {} }
    expect(readField(bare, 'error')).toBe(scope.error)
    expect(readField(bare, 'event')).toBe(scope.event)
    expect(readField(bare, 'context')).toBe(bare.context)
    expect(readField(scope, 'error')).toBe('my own')
    expect(readField(scope, 'event')).toEqual({ name: 'mine' })
  })

  it.each([
    'nope',
    'env.length',
    'text.0',
    'order.items.length',
    'order.items.2',
    'order.items.01',
    'order.items.-1',
    'order.nothing.x',
    'order.',
    '.order',
    '',
    'constructor',
    '__proto__',
    'order.__proto__.constructor',
    'order.items.map',
    'event.constructor',
    'error.toString',
    'contextual',
  ])('%s is missing', (path) => {
    expect(readField(scope, path)).toBeUndefined()
  })

  it('keeps what is below event and error reserved when there is neither', () => {
    const bare = { context: { error: { code: 'x' }, event: 1 } }
    expect(readField(bare, 'error.code')).toBeUndefined()
    expect(readField(bare, 'event')).toBe(1)
    expect(readField(bare, 'context.error.code')).toBe('x')
  })

  it('reads own keys with names of the prototype', () => {
    const context = JSON.parse('{"__proto__":{"x":1},"constructor":2,"":{"":3}}')
    expect(readField({ context }, '__proto__.x')).toBe(1)
    expect(readField({ context }, 'constructor')).toBe(2)
    expect(readField({ context }, '.')).toBe(3)
  })
})
