import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startTestRedis } from '../support/redis.js'
import { keepArtifacts } from './artifacts.js'
import { shardTag } from './checker/formats.js'
import { dumpNamespace } from './checker/namespace-dump.js'

test('what is kept of a test that found something: the result, the runs concerned with their histories, and the data', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'procession-artifacts-'))
  const redis = await startTestRedis()
  try {
    const tag = shardTag('kept', 0)
    for (const id of ['bad', 'other', 'lost', 'good']) {
      await redis.client.hset(`${tag}:run:${id}`, 'status', 'running')
      await redis.client.rpush(`${tag}:hist:${id}`, `{"type":"started","run":"${id}"}`, 'no JSON')
    }
    const [shard] = await dumpNamespace(redis.client, 'kept')
    const result = {
      problems: [{ runId: 'bad' }, {}],
      inexact: ['other: move 1 is "a", planned "b"'],
      innocents: ['lost'],
    }
    await keepArtifacts(dir, redis.client, shard!, result)
    const read = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'))
    expect(read('result.json')).toStrictEqual(result)
    const history = (run: string) => [{ type: 'started', run }, 'no JSON']
    expect(read('runs.json')).toStrictEqual([
      { runId: 'bad', record: { status: 'running' }, history: history('bad') },
      { runId: 'other', record: { status: 'running' }, history: history('other') },
      { runId: 'lost', record: { status: 'running' }, history: history('lost') },
    ])
    expect(existsSync(join(dir, 'redis', 'appendonlydir'))).toBe(true)
  } finally {
    await redis.stop()
    rmSync(dir, { recursive: true })
  }
})
