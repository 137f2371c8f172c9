import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ProcessionError } from '../../src/kernel/errors.js'
import { LIMITS } from '../../src/kernel/limits.js'
import { Keyspace, shardOf } from '../../src/redis/keys.js'

/** A Redis Cluster hashes what stands between the first `{` and the next `}`. */
const hashTag = (key: string) => /\{([^}]*)\}/.exec(key)?.[1]
const shardCount = fc.integer({ min: 1, max: LIMITS.shards })
const rootId = fc.string({ minLength: 1, maxLength: 40 }).filter((id) => !id.includes('/'))

describe('shardOf', () => {
  test('is a shard that exists, the same each time', () => {
    fc.assert(
      fc.property(fc.string(), shardCount, (id, shards) => {
        const shard = shardOf(id, shards)
        expect(Number.isInteger(shard) && shard >= 0 && shard < shards).toBe(true)
        expect(shardOf(id, shards)).toBe(shard)
      }),
    )
  })

  test('keeps children, and theirs, on the shard of their root', () => {
    fc.assert(
      fc.property(rootId, fc.string(), shardCount, (root, rest, shards) => {
        expect(shardOf(`${root}/${rest}`, shards)).toBe(shardOf(root, shards))
      }),
    )
  })

  // The first four follow from the published FNV-1a vectors, the rest from an implementation in another language: frozen.
  test.each([
    ['', 256, 0x811c9dc5 % 256],
    ['a', 256, 0xe40c292c % 256],
    ['foobar', 256, 0xbf9cf968 % 256],
    ['foobar', 7, 0xbf9cf968 % 7],
    ['order-1', 4, 0x2b7fcd6d % 4],
    ['order-2', 4, 0],
    ['order-2/build.3', 4, 0],
    ['größe', 16, 10],
    ['k-47DEQpj8HBSa-=TImW-5JCeu', 64, 44],
  ])('of %j over %i shards stays %i', (id, shards, shard) => {
    expect(shardOf(id, shards)).toBe(shard)
  })

  test('spreads ids evenly', () => {
    const counts = new Array<number>(8).fill(0)
    for (let i = 0; i < 8_000; i++) counts[shardOf(`order-${i}`, 8)]! += 1
    expect(Math.min(...counts)).toBeGreaterThan(850)
    expect(Math.max(...counts)).toBeLessThan(1_150)
  })

  test.each([0, -1, 1.5, Number.NaN, LIMITS.shards + 1])('refuses %d shards', (shards) => {
    expect(() => shardOf('a', shards)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })
})

describe('Keyspace', () => {
  const keys = new Keyspace('my-app')

  test('names the keys as documented', () => {
    const shard = keys.shard(3)
    expect([
      keys.meta,
      keys.procedures,
      keys.inactive,
      keys.versions('deploy'),
      keys.definition('deploy', '1.0'),
    ]).toEqual([
      '{my-app}:meta',
      '{my-app}:procedures',
      '{my-app}:inactive',
      '{my-app}:versions:deploy',
      '{my-app}:definition:deploy@1.0',
    ])
    expect([keys.shardTag(3), keys.queueName(3), shard.tag, shard.queueName]).toEqual([
      '{my-app:3}',
      'shard-3',
      '{my-app:3}',
      'shard-3',
    ])
    expect([shard.run('r/1'), shard.history('r'), shard.sentEvents('r')]).toEqual([
      '{my-app:3}:run:r/1',
      '{my-app:3}:hist:r',
      '{my-app:3}:sent:r',
    ])
    expect([shard.due, shard.events, shard.abort, shard.wake, shard.inactive]).toEqual([
      '{my-app:3}:due',
      '{my-app:3}:events',
      '{my-app:3}:abort',
      '{my-app:3}:wake',
      '{my-app:3}:inactive',
    ])
    expect([shard.byStatus('running'), shard.byProcedure('deploy'), shard.byTag('eu')]).toEqual([
      '{my-app:3}:runs:status:running',
      '{my-app:3}:runs:procedure:deploy',
      '{my-app:3}:runs:tag:eu',
    ])
  })

  test('puts all keys of a shard on one tag, and no two shards on the same', () => {
    fc.assert(
      fc.property(rootId, fc.integer({ min: 0, max: LIMITS.shards - 1 }), (id, index) => {
        const shard = keys.shard(index)
        for (const key of [shard.run(id), shard.history(id), shard.sentEvents(id), shard.due, shard.events])
          expect(hashTag(key)).toBe(`my-app:${index}`)
      }),
    )
  })

  test('takes every prefix that keeps the rule', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/), (prefix) => {
        expect(hashTag(new Keyspace(prefix).meta)).toBe(prefix)
      }),
    )
  })

  test.each(['', '{a}', 'a:b', 'a b', '.a', 'é', `a${'b'.repeat(64)}`, 'a\n', 'a}'])(
    'refuses the prefix %j, naming it and the rule',
    (prefix) => {
      const refusal = catchError(() => new Keyspace(prefix))
      expect(refusal.code).toBe('invalid_argument')
      expect(refusal.message).toContain(JSON.stringify(prefix))
      expect(refusal.message).toContain('1 to 64 letters')
    },
  )

  test.each([-1, 0.5, LIMITS.shards])('refuses shard %d', (index) => {
    expect(catchError(() => keys.shard(index)).code).toBe('invalid_argument')
  })
})

function catchError(work: () => unknown): ProcessionError {
  try {
    work()
  } catch (error) {
    if (error instanceof ProcessionError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
