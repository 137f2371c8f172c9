/** What is kept of a chaos test that found something, to be looked at. */
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { ShardDump } from './checker/namespace-dump.js'

/**
 * Puts beside the effect log and the workers' own logs: the result, the records and histories of the runs concerned, and
 * Redis's append-only file.
 */
export async function keepArtifacts(
  dir: string,
  client: Redis,
  shard: ShardDump,
  result: {
    readonly problems: readonly { readonly runId?: string }[]
    readonly inexact: readonly string[]
    readonly innocents: readonly string[]
  },
): Promise<void> {
  const concerned = new Set([
    ...result.problems.flatMap(({ runId }) => (runId === undefined ? [] : [runId])),
    ...result.inexact.map((text) => text.split(':', 1)[0]!),
    ...result.innocents,
  ])
  const runs = [...concerned].map((runId) => ({
    runId,
    record: shard.runs.get(runId),
    history: (shard.histories.get(runId) ?? []).map((text) => parsed(text)),
    answers: shard.answers.get(runId),
  }))
  await writeFile(join(dir, 'result.json'), JSON.stringify(result, null, 2))
  await writeFile(join(dir, 'runs.json'), JSON.stringify(runs, null, 2))
  const [, data] = (await client.call('CONFIG', 'GET', 'dir')) as [string, string]
  await cp(data, join(dir, 'redis'), { recursive: true })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
