import { readFileSync } from 'node:fs'
import { describe, expect, inject, test } from 'vitest'
import { runCli } from '../../src/cli/program.js'
import type { CheckReport } from '../../src/index.js'
import { FINDINGS, kindOf } from '../../src/runs/reconcile/findings.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { type Ended, inProcess, keptOutput, procession } from './command.js'

const ns = await openTestNamespace('cli-fsck')
await ns.store.register({
  name: 'hold',
  version: '1.0',
  definition: {
    initial_state: 'a',
    states: { a: { timeout_ms: 3_600_000, transitions: [{ event: 'go', target: 'z' }] }, z: {} },
  },
})
const { id } = await ns.store.startProcedure('hold', '1.0', {}, { runId: 'order-17' })
const here = (...args: string[]): Promise<Ended> =>
  inProcess(['--prefix', ns.prefix, '--redis', inject('redisUrl'), 'fsck', ...args])

describe('fsck', () => {
  test('says of a healthy namespace that nothing is wrong, and exits with 0', async () => {
    const ended = await procession(['fsck', '--prefix', ns.prefix])
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toMatch(
      /^namespace cli-fsck-\S+: nothing is wrong \(1 run, 1 history entry, 0 jobs, \d+ keys in .+\)\n$/,
    )
  })

  test('explains what it finds and exits with 1; repairs it with --repair and exits with 0', async () => {
    await ns.client.zrem(ns.keys.due, id)
    const found = await here()
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(/^due_wrong {2}run order-17 {2}shard 0$/m)
    expect(found.stdout).toMatch(/^ {2}found +it is not there; its deadline is 20\d\d-/m)
    expect(found.stdout).toContain(`  expected  ${FINDINGS.due_wrong.expected}`)
    expect(found.stdout).toContain(`  --repair  ${FINDINGS.due_wrong.repair}`)
    expect(found.stdout).toContain(': 1 finding, all can be repaired: --repair (')
    const repaired = await here('--repair')
    expect(repaired.code).toBe(0)
    expect(repaired.stdout).toContain(`  repaired  ${FINDINGS.due_wrong.repair}`)
    expect(repaired.stdout).toContain(': 1 finding, all repaired (')
    expect(await here()).toMatchObject({ code: 0 })
  })

  test('with --json prints one document', async () => {
    await ns.client.set(`${ns.keys.tag}:mine`, '1')
    const ended = await here('--json', '--repair')
    expect(ended).toMatchObject({ code: 1, stderr: '' })
    expect(ended.json<CheckReport & { namespace: string }>()).toMatchObject({
      namespace: ns.prefix,
      ok: false,
      found: 1,
      repaired: 0,
      findings: [{ code: 'key_unknown', key: `${ns.keys.tag}:mine`, repaired: false, remedy: expect.any(String) }],
      looked: { runs: 1 },
    })
    await ns.client.del(`${ns.keys.tag}:mine`)
  })

  test('looks at one run, or one shard, and says when there is none', async () => {
    expect(await here('--run', id)).toMatchObject({ code: 0 })
    expect(await here('--shard', '0')).toMatchObject({ code: 0 })
    expect((await here('--run', 'nobody', '--json')).json()).toMatchObject({ error: { code: 'not_found' } })
    expect((await here('--shard', '3', '--json')).json()).toMatchObject({ error: { code: 'invalid_argument' } })
    expect(await here('--shard', 'x')).toMatchObject({ code: 2 })
  })

  test('makes no namespace where there is none', async () => {
    const prefix = `${ns.prefix}-none`
    const ended = await inProcess(['--prefix', prefix, '--redis', inject('redisUrl'), 'fsck'])
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no namespace') })
    expect(await ns.client.exists(`{${prefix}}:meta`)).toBe(0)
  })

  test('shows how far it is on a terminal', async () => {
    const { output, end } = keptOutput({ terminal: true })
    expect(await runCli(['--prefix', ns.prefix, '--redis', inject('redisUrl'), 'fsck'], output)).toBe(0)
    expect((await end())[1]).toContain('looking through the keys')
  })
})

test('each finding is documented as it is, and nothing else is', () => {
  const rows = readFileSync('docs/fsck.md', 'utf8').matchAll(/^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$/gm)
  const documented = [...rows].map(([, code, , repair, byItself]) => [code, repair !== '–', byItself === 'yes'])
  const codes = Object.keys(FINDINGS) as (keyof typeof FINDINGS)[]
  expect(documented).toStrictEqual(
    codes.map((code) => [code, kindOf(code).repair !== undefined, kindOf(code).byItself ?? false]),
  )
})
