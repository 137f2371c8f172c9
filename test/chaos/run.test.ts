import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { exitCodeOf, figure, renderReport, summarize } from '../../bench/report.js'

const ENTRY = resolve('dist/test/chaos/run.js')
const document = (figures: ReturnType<typeof figure>[]) => ({
  versions: { node: '20' },
  settings: { cores: 2 },
  figures,
})

/** Runs the built command; resolves with how it ended, and with what it left among the temporary files. */
async function chaos(...args: string[]): Promise<{ code: number; stdout: string; stderr: string; left: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'procession-chaos-test-'))
  const env = { ...process.env, TMPDIR: folder }
  try {
    return await new Promise((done) => {
      execFile(process.execPath, [ENTRY, ...args], { env }, (error, stdout, stderr) => {
        done({ code: error ? Number(error.code) : 0, stdout, stderr, left: readdirSync(folder) })
      })
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('a report', () => {
  test('passes a figure that is at most, or where more is better at least, what it must be', () => {
    expect(figure({ name: 'a', value: 10, unit: 'ms', must: 10 }).pass).toBe(true)
    expect(figure({ name: 'a', value: 10.1, unit: 'ms', must: 10 }).pass).toBe(false)
    expect(figure({ name: 'a', value: 9, unit: 'runs', must: 10, better: 'higher' }).pass).toBe(false)
    expect(figure({ name: 'a', value: 1e9, unit: 'ms' })).toMatchObject({ must: null, aim: null, pass: true })
  })

  test('ends in failure when one figure does', () => {
    const good = figure({ name: 'good', value: 1, unit: 'ms', must: 2 })
    const bad = figure({ name: 'bad', value: 3, unit: 'ms', must: 2 })
    expect(exitCodeOf(document([good]))).toBe(0)
    expect(exitCodeOf(document([good, bad]))).toBe(1)
  })

  test('is a table that names each figure with its bounds, and closes with the counts', () => {
    const figures = [
      figure({ name: 'good', unit: 'ms', must: 5, aim: 1, ...summarize([1, 2, 3, 4]) }),
      figure({ name: 'bad', value: 3, unit: 'runs', must: 10, better: 'higher' }),
      figure({ name: 'told', value: 7, unit: 'µs' }),
    ]
    expect(renderReport('Title', document(figures), false).split('\n')).toStrictEqual([
      'Title',
      'versions  node 20',
      'settings  cores 2',
      '',
      'figure   value  p50  p95  must  aim',
      'good    2.5 ms    2    4   ≤ 5  ≤ 1  PASS',
      'bad     3 runs            ≥ 10       FAIL',
      'told      7 µs',
      '',
      '1 passed, 1 failed',
    ])
  })
})

describe('the chaos command', () => {
  beforeAll(() => {
    if (!existsSync(ENTRY)) throw new Error(`${ENTRY} is missing: npm run build compiles it`)
  })

  const small = ['--procedures', '60', '--states', '3', '--workers', '2', '--skew-ms', '0', '--seed', '7', '--json']
  const faults = ['--kills', '1', '--stops', '1', '--redis-kills', '1', '--network-faults', '2', '--redis-stalls', '1']

  test('prints one document with its seed and its counts, and ends with 0 when all is well', async () => {
    const { code, stdout, stderr, left } = await chaos(...small, ...faults)
    expect(stderr).toMatch(/^chaos seed 7\n/)
    expect(JSON.parse(stdout)).toMatchObject({
      versions: { bullmq: expect.any(String), node: process.versions.node, redis: expect.any(String) },
      settings: { procedures: 60, states: 3, workers: 2, appendfsync: 'always' },
      seed: 7,
      problems: [],
      inexact: [],
      misanswered: [],
      surprises: [],
      clockSkew: 'not asked for',
      // A scheduled run that its caller cancels in time never starts.
      entries: { started: expect.any(Number), rollback_started: expect.any(Number), paused: expect.any(Number) },
      ...{ lost: 0, doubled: 0, reordered: 0, stuck: 0, orphanKeys: 0, innocentsLost: 0 },
      ...{ kills: 1, stops: 1, redisKills: 1, actionsRerun: expect.any(Number) },
      faults: { kill: 1, stop: 1, redis_kill: 1, 'network drop': 1, 'network reset': 1, redis_stall: 1 },
    })
    expect(code).toBe(0)
    expect(left).toStrictEqual([])
  }, 120_000)

  test('finds that commits compare nothing, and says as what', async () => {
    const { code, stdout, left } = await chaos(...small, '--procedures', '150', '--kills', '0', '--plant', 'no-cas')
    const { planted, figures } = JSON.parse(stdout)
    expect(planted).toStrictEqual({ plant: 'no-cas', as: 'doubled', found: true })
    expect(figures).toMatchObject([{ name: 'found_no-cas', value: 1, must: 1, pass: true }])
    expect({ code, left }).toStrictEqual({ code: 0, left: [] })
  }, 120_000)

  test('prints the same plan for the same seed and options, and runs nothing', async () => {
    const [one, same, other] = await Promise.all(
      [[], [], ['--seed', '8']].map((more) => chaos(...small, ...faults, ...more, '--plan')),
    )
    expect(one!.stdout).toBe(same!.stdout)
    expect(one!.stdout).not.toBe(other!.stdout)
    expect(JSON.parse(one!.stdout)).toMatchObject({
      settings: { kills: 1, networkFaults: 2 },
      faults: expect.arrayContaining([{ at: expect.any(Number), fault: expect.objectContaining({ kind: 'stop' }) }]),
    })
    expect(one!.code).toBe(0)
  })

  test.each([
    ['an unknown option', ['--frobnicate']],
    ['a number that is none', ['--procedures', 'many']],
  ])('refuses %s', async (_what, args) => {
    expect(await chaos(...args)).toMatchObject({ code: 2, stdout: '' })
  })
})
