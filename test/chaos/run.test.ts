import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { exitCodeOf, figure, renderReport, summarize } from '../../bench/report.js'

const ENTRY = resolve('dist/test/chaos/run.js')
const document = (figures: ReturnType<typeof figure>[]) => ({
  versions: { node: '20' },
  settings: { cores: 2 },
  figures,
})

/** Runs the built command; resolves with how it ended. */
function chaos(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [ENTRY, ...args], (error, stdout, stderr) => {
      done({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
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

  test('prints one document with its seed and its counts, and ends with 0 when all is well', async () => {
    const size = ['--procedures', '40', '--states', '3', '--kills', '1', '--stops', '1', '--redis-kills', '1']
    const { code, stdout, stderr } = await chaos(
      ...size,
      '--kill-every-ms',
      '200',
      '--work-ms',
      '400',
      '--seed',
      '7',
      '--json',
    )
    expect(stderr).toBe('chaos seed 7\n')
    expect(JSON.parse(stdout)).toMatchObject({
      versions: { bullmq: expect.any(String), node: process.versions.node, redis: expect.any(String) },
      settings: { procedures: 40, states: 3, workers: 2, appendfsync: 'everysec' },
      seed: 7,
      problems: [],
      inexact: [],
      misanswered: [],
      surprises: [],
      // A scheduled run that its caller cancels in time never starts.
      entries: { started: expect.any(Number), rollback_started: expect.any(Number), paused: expect.any(Number) },
      ...{ lost: 0, doubled: 0, reordered: 0, stuck: 0, orphanKeys: 0, kills: 1, stops: 1, redisKills: 1 },
    })
    expect(code).toBe(0)
  }, 60_000)

  test.each([
    ['an unknown option', ['--frobnicate']],
    ['a number that is none', ['--procedures', 'many']],
  ])('refuses %s', async (_what, args) => {
    expect(await chaos(...args)).toMatchObject({ code: 2, stdout: '' })
  })
})
