import { describe, expect, test } from 'vitest'
import { ProceduralStore } from '../../src/runs/store.js'
import { openTestNamespace } from '../support/fleet-in-process.js'

const ns = await openTestNamespace('registry')
const { store } = ns
const other = () => ProceduralStore.connect({ connection: ns.url, prefix: ns.prefix })

const simple = (name: string, version: string, state = 's') => ({
  name,
  version,
  definition: { initial_state: state, states: { [state]: {} } },
})

describe('register', () => {
  test('the same content again is a no-op, whatever the order of its keys', async () => {
    const first = await store.register({
      name: 'same',
      version: '1.0',
      definition: { initial_state: 's', states: { s: {} } },
    })
    const again = await store.register({
      definition: { states: { s: {} }, initial_state: 's' },
      version: '1.0',
      name: 'same',
    })
    expect(again).toStrictEqual(first)
    expect(first.digest).toMatch(/^[0-9a-f]{64}$/)
  })

  test('other content under a known version is refused, also when two processes register at once', async () => {
    const second = await other()
    const both = await Promise.allSettled([
      store.register(simple('race', '1.0', 'a')),
      second.register(simple('race', '1.0', 'b')),
    ])
    expect(both.map((result) => result.status).sort()).toStrictEqual(['fulfilled', 'rejected'])
    const refused = both.find((result) => result.status === 'rejected') as PromiseRejectedResult
    expect(refused.reason).toMatchObject({ code: 'version_exists' })
    const winner = both[0]!.status === 'fulfilled' ? 'a' : 'b'
    expect((await store.get('race', '1.0')).definition.initial_state).toBe(winner)
    await second.close()
  })

  test('the record of a version is kept as it was written first, with the time of Redis to the second', async () => {
    const [before] = await ns.client.time()
    const { digest } = await store.register({ ...simple('record', '1.0'), description: 'with "quotes"' })
    const key = `{${ns.prefix}}:versions:record`
    const text = await ns.client.hget(key, '1.0')
    const { registeredAt } = JSON.parse(text!)
    expect(text).toBe(JSON.stringify({ digest, registeredAt, description: 'with "quotes"' }))
    expect(registeredAt % 1000).toBe(0)
    expect(registeredAt).toBeGreaterThanOrEqual(Number(before) * 1000)
    expect(registeredAt).toBeLessThanOrEqual(Number((await ns.client.time())[0]) * 1000)
    await store.register({ ...simple('record', '1.0'), description: 'with "quotes"' })
    await expect(store.register(simple('record', '1.0'))).rejects.toMatchObject({ code: 'version_exists' })
    expect(await ns.client.hgetall(key)).toStrictEqual({ '1.0': text })
  })

  test('what becomes of the input while Redis is asked does not count', async () => {
    const document = simple('changing', '1.0')
    const registering = store.register(document)
    document.definition.initial_state = 'elsewhere'
    const { digest } = await registering
    expect(await store.get('changing', '1.0')).toMatchObject({ ...simple('changing', '1.0'), digest })
    expect(await store.register(simple('changing', '1.0'))).toMatchObject({ digest })
  })

  test('a Redis that has forgotten its scripts is no obstacle', async () => {
    await store.register(simple('forgotten', '1.0'))
    await ns.client.script('FLUSH')
    await store.register(simple('forgotten', '2.0'))
    expect(await store.get('forgotten')).toMatchObject({ version: '2.0' })
  })

  test('the document comes back as it was given', async () => {
    const document = { ...simple('document', '1.0'), description: 'why', metadata: { owner: 'us', constructor: 1 } }
    await store.register(document)
    expect(await store.get('document', '1.0')).toMatchObject(document)
  })
})

describe('look-up', () => {
  test('latest is the highest active version in numeric order', async () => {
    for (const version of ['9.0', '10.0', '2.0', '9.10']) await store.register(simple('numeric', version))
    expect((await store.get('numeric')).version).toBe('10.0')
    await store.deactivate('numeric', '10.0')
    expect((await store.get('numeric', 'latest')).version).toBe('9.10')
    await store.activate('numeric', '10.0')
    expect((await store.get('numeric', 'latest')).version).toBe('10.0')
  })

  test('a version that another process registers, or deactivates, is seen at once', async () => {
    const second = await other()
    await store.register(simple('shared', '1.0'))
    expect((await second.get('shared')).version).toBe('1.0')
    await store.register(simple('shared', '2.0'))
    expect((await second.get('shared')).version).toBe('2.0')
    await second.startProcedure('shared', '2.0')
    await store.deactivate('shared', '2.0')
    await expect(second.startProcedure('shared', '2.0')).rejects.toMatchObject({ code: 'version_inactive' })
    expect(await (await second.startProcedure('shared', 'latest')).state()).toMatchObject({ version: '1.0' })
    await second.close()
  })

  test('all versions deactivated: latest says so', async () => {
    await store.register(simple('all-off', '1.0'))
    await store.deactivate('all-off', '1.0')
    await expect(store.get('all-off')).rejects.toMatchObject({ code: 'version_inactive' })
  })

  test('what is not there is not_found, and the message names what is', async () => {
    await store.register(simple('known', '1.0'))
    await expect(store.get('known', '3.0')).rejects.toThrow(/known@3\.0.*registered are 1\.0/)
    await expect(store.get('unknown')).rejects.toMatchObject({ code: 'not_found' })
    await expect(store.startProcedure('known', 'newest')).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test('list is by name, then by version descending', async () => {
    for (const [name, version] of [
      ['zz', '1.0'],
      ['aa', '1.0'],
      ['aa', '10.0'],
      ['aa', '9.0'],
    ] as const)
      await store.register(simple(name, version))
    const listed = (await store.list())
      .filter(({ name }) => name === 'aa' || name === 'zz')
      .map(({ name, version }) => `${name}@${version}`)
    expect(listed).toStrictEqual(['aa@10.0', 'aa@9.0', 'aa@1.0', 'zz@1.0'])
  })

  test('a run keeps the version that it was started with when that is deactivated', async () => {
    await store.register({
      name: 'kept',
      version: '1.0',
      definition: { initial_state: 'a', states: { a: { transitions: [{ event: 'go', target: 'z' }] }, z: {} } },
    })
    const run = await store.startProcedure('kept', '1.0')
    await store.deactivate('kept', '1.0')
    expect(await run.sendEvent('go')).toMatchObject({ accepted: true })
  })
})

describe('the namespace', () => {
  test('has the shards that its first process gave it; another number is refused', async () => {
    const prefix = `${ns.prefix}-shards`
    const first = await ProceduralStore.connect({ connection: ns.url, prefix, shards: 4 })
    await expect(ProceduralStore.connect({ connection: ns.url, prefix, shards: 2 })).rejects.toMatchObject({
      code: 'namespace_mismatch',
    })
    const second = await ProceduralStore.connect({ connection: ns.url, prefix })
    await first.register(simple('spread', '1.0'))
    const runs = await Promise.all(Array.from({ length: 40 }, () => first.startProcedure('spread', '1.0')))
    const tags = new Set((await ns.client.keys(`*${prefix}:*:run:*`)).map((key) => /\{.*\}/.exec(key)![0]))
    expect(tags.size).toBe(4)
    expect(await second.getState(runs[0]!.id)).toMatchObject({ status: 'completed' })
    expect((await second.runs({ limit: 1000 })).items).toHaveLength(40)
    await Promise.all([first.close(), second.close()])
  })

  test('in another storage format is refused', async () => {
    const prefix = `${ns.prefix}-format`
    await ns.client.hset(`{${prefix}}:meta`, 'format', '99', 'shards', '1')
    await expect(ProceduralStore.connect({ connection: ns.url, prefix })).rejects.toMatchObject({
      code: 'namespace_mismatch',
    })
  })
})
