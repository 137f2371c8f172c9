import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Cli } from '../../src/cli/cli.js'
import { copiesOf } from '../../src/cli/contexts-to-start.js'
import { startMany } from '../../src/cli/start-many.js'
import { ProcessionError, type RunState, type StartItem } from '../../src/index.js'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { type Ended, inProcess, keptOutput, procession } from './command.js'

/** Nobody runs actions here, and none are needed: how runs begin is to be seen. */
const ns = await openTestNamespace('cli-start')
const { store } = ns
await store.register({
  name: 'form',
  version: '1.0',
  definition: {
    initial_state: 'open',
    context_policy: 'strict',
    context_schema: { required: ['name'], properties: { name: { type: 'string' } } },
    states: { open: { transitions: [{ event: 'close', target: 'closed', accept: ['by'] }] }, closed: {} },
  },
})

const at = ['--prefix', ns.prefix, '--redis', ns.url]
const here = (...args: string[]): Promise<Ended> => inProcess([...at, ...args])
const lines = (text: string): string[] => text.trimEnd().split('\n')

interface Started {
  readonly started: number
  readonly failed: number
  readonly items: readonly { readonly runId: string; readonly error?: { readonly place: string } }[]
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'procession-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

describe('one run', () => {
  test('is scheduled, tagged and given a priority and a time', async () => {
    const how = ['--delay', '2h', '--priority', '7', '--tag', 'vip', '--tag', 'north', '--timeout', '1.5h']
    const started = await here('start', 'form', '--context', '{"name":"a"}', '--run-id', 'one', ...how)
    expect(started.code).toBe(0)
    for (const line of [
      /^tags +vip, north$/m,
      /^priority +7$/m,
      /^status +scheduled$/m,
      /^state +open \(not entered yet, seq 1\)$/m,
      /^scheduled +\d{4}-.* \(now\)$/m,
      /^starts +\d{4}-.* \(in [12] h\)$/m,
    ])
      expect(started.stdout).toMatch(line)
    expect((await here('history', 'one')).stdout).toMatch(
      /open +scheduled +form@1\.0 {2}starts after 2 h {2}tags vip, north {2}priority 7 {2}timeout 1 h 30 min {2}\{"name":"a"\}$/m,
    )
    const early = await here('send', 'one', 'close')
    expect(early.stderr).toMatch(/the run has not begun yet; --when-ready keeps it until then \[scheduled\]$/m)
  })

  test('is found by its tag and by its status', async () => {
    const named = (tag: string) => here('runs', '--tag', tag, '--status', 'scheduled', '--json')
    expect((await named('vip')).json()).toMatchObject({ items: [{ id: 'one', tags: ['vip', 'north'] }] })
    expect((await named('south')).json()).toEqual({ items: [] })
    const table = await here('runs', '--tag', 'vip')
    expect(table.stdout).toMatch(/^one +form@1\.0 +scheduled +open +in [12] h +vip, north$/m)
  })

  test('that is paused before its time is shown as such, and cancelled without having begun', async () => {
    expect((await here('pause', 'one')).stdout).toMatch(/^status +paused \(while scheduled\)$/m)
    expect((await here('cancel', 'one')).stdout).toMatch(/^state +open \(not entered yet, seq 3\)$/m)
  })
})

describe('many runs', () => {
  test('of one context: their ids are printed, one a line, and are those of real runs', async () => {
    const ended = await here('start', 'form', '--context', '{"name":"b"}', '--count', '1100', '--tag', 'crowd')
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    const ids = new Set(lines(ended.stdout))
    expect(ids.size).toBe(1_100)
    expect(await store.getState([...ids].at(-1)!)).toMatchObject({ status: 'waiting', context: { name: 'b' } })
  })

  test('show their progress on a terminal, and what they came to', async () => {
    const args = [...at, 'start', 'form', '--context', '{"name":"b"}', '--count', '3']
    const ended = await inProcess(args, { terminal: true })
    expect(ended.stderr).toContain('100 %  3 runs started')
    expect(ended.stderr.endsWith('3 of 3 runs are started\n')).toBe(true)
    expect(lines(ended.stdout)).toHaveLength(3)
  })

  test('of a file, one context a line: who fails is named with the line, the others are started', async () => {
    const path = await file('some.jsonl', '{"name":"x"}\n\n{"name":7}\r\n{"name":"y"}\n')
    const ended = await here('start', 'form', '--file', path, '--tag', 'file')
    expect(ended.code).toBe(1)
    expect(lines(ended.stdout)).toHaveLength(2)
    expect(ended.stderr).toMatch(/^error: .*some\.jsonl:3: .* \[context_invalid\]\n2 of 3 runs are started\n$/)
    const document = (await here('start', 'form', '--file', path, '--json')).json<Started>()
    expect(document).toMatchObject({ started: 2, failed: 1 })
    expect(document.items.map(({ error }) => error?.place)).toEqual([undefined, `${path}:3`, undefined])
  })

  test('are started once with a key, however often the command is called', async () => {
    const path = await file('keyed.jsonl', '{"name":"x"}\n{"name":1}\n')
    const args = ['start', 'form', '--file', path, '--idempotency-key', 'nightly', '--json']
    const first = (await here(...args)).json<Started>()
    await writeFile(path, '{"name":"x"}\n{"name":"mended"}\n')
    const second = await here(...args)
    expect(second.code).toBe(0)
    expect(second.json<Started>().items.map(({ runId }) => runId)).toEqual(first.items.map(({ runId }) => runId))
  })

  test('come from stdin too', async () => {
    const ended = await procession([...at, 'start', 'form', '--file', '-', '--json'], { input: '{"name":"in"}\n' })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    const { items } = ended.json<Started>()
    expect(await store.getState(items[0]!.runId)).toMatchObject({ context: { name: 'in' } })
  })

  test('of a file with lines that are no contexts are not started at all', async () => {
    const before = (await store.runs({ tag: 'faulty' })).items.length
    const path = await file('faulty.jsonl', '{"name":"x"}\n[1]\n{"name":\n')
    const ended = await here('start', 'form', '--file', path, '--tag', 'faulty')
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(lines(ended.stderr)).toEqual([
      `error: 2 lines of ${path} cannot be a context; nothing was started [invalid_argument]`,
      expect.stringMatching(/faulty\.jsonl:2: the context is a list; .* \[invalid_argument\]$/),
      expect.stringMatching(/faulty\.jsonl:3: not JSON: .* \[invalid_json\]$/),
    ])
    expect((await store.runs({ tag: 'faulty' })).items).toHaveLength(before)
  })

  test('that all fail for one reason are told of once', async () => {
    const ended = await here('start', 'nothing', '--count', '600')
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(lines(ended.stderr)).toHaveLength(1)
    expect(ended.stderr).toContain('[not_found]')
  })

  test('of which Redis takes only the first are told of, and from where on it is not known', async () => {
    const calls: number[] = []
    const failing = {
      async startProcedures(items: readonly StartItem[]) {
        calls.push(items.length)
        if (calls.length > 1) throw new ProcessionError('redis_unavailable', 'Redis went away')
        return items.map((_, i) => ({ runId: `run${i}` }))
      },
    }
    const { output, end } = keptOutput()
    const cli = { output, exitCode: 0, withStore: (work: (store: unknown) => Promise<void>) => work(failing) }
    await startMany(cli as unknown as Cli, { name: 'form', version: 'latest' }, copiesOf({}, 1_200), {})
    const [stdout, stderr] = await end()
    expect(cli.exitCode).toBe(1)
    expect(calls).toEqual([500, 500])
    expect(lines(stdout)).toHaveLength(500)
    expect(lines(stderr)).toEqual([
      expect.stringMatching(
        /^error: Redis went away; of the runs from 501 on it is not known .* \[redis_unavailable\]$/,
      ),
      '500 of 1200 runs are started',
    ])
  })
})

describe('a fork', () => {
  test('begins where an entry of the other run stood, and is tagged as a run of its own', async () => {
    await store.startProcedure('form', '1.0', { name: 'c' }, { runId: 'origin' })
    await store.sendEvent('origin', 'close', { payload: { by: 'Ada' } })
    const fork = await here('fork', 'origin', '--from', '1', '--run-id', 'fork', '--tag', 'again', '--priority', '3')
    expect(fork.code).toBe(0)
    expect(fork.stdout).toMatch(/^forked from +origin, seq 1$/m)
    expect(fork.stdout).toMatch(/^state +open \(revision 1, seq 1\)$/m)
    expect((await here('history', 'fork')).stdout).toMatch(
      /open +started +waiting +form@1\.0 {2}forked from origin, seq 1 {2}tags again {2}priority 3 {2}\{"name":"c"\}$/m,
    )
    const again = await here('fork', 'origin', '--from', '1', '--run-id', 'fork', '--tag', 'again', '--priority', '3')
    expect(again.code).toBe(0)
  })

  test('is of the last entry where none is named, with a key the same each time, and can be waited for', async () => {
    const args = ['fork', 'origin', '--idempotency-key', 'f', '--wait', '--json']
    const [first, second] = [await here(...args), await here(...args)]
    expect(first.code).toBe(0)
    expect(first.json<RunState>()).toMatchObject({ current: 'closed', status: 'completed', context: { by: 'Ada' } })
    expect(second.json<RunState>().id).toBe(first.json<RunState>().id)
  })

  test('of an entry that there is not is an error that says which there are', async () => {
    const ended = await here('fork', 'origin', '--from', '99')
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toMatch(/has no entry with seq 99; it has 1 to 2 \[invalid_argument\]$/m)
  })
})

test.each([
  [['--count', '0'], /Give a whole number from 1 to 1000000/],
  [['--count', '2', '--wait'], /'--count <n>' cannot be used with option '--wait'/],
  [['--count', '2', '--run-id', 'x'], /'--count <n>' cannot be used with option '--run-id <id>'/],
  [['--file', 'x.jsonl', '--context', '{}'], /'--file <file>' cannot be used with option '--context <json>'/],
  [['--file', '/no/such'], /--file: \/no\/such cannot be read/],
  [['--delay', '2 weeks'], /'--delay <duration>' argument '2 weeks' is invalid\. Write 500ms, 30s, 5min, 2h or 1d/],
  [['--delay', '400d'], /at most 366d/],
  [['--priority', '0'], /Give a whole number from 1 to 2097152/],
  [['--tag', 'no way'], /a tag is letters, digits/],
  [['--run-id', '?'], /run id "\?" is not usable/],
  [['--run-id', 'x', '--idempotency-key', 'y'], /give runId or idempotencyKey, not both/],
])('start %j is wrong use', async (args, message) => {
  const { code, stdout, stderr } = await inProcess(['start', 'form', ...args])
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(message)
})

test.each([
  [['--from', '0'], /Give a whole number from 1/],
  [['--tag', ''], /a tag is letters, digits/],
  [['--delay', '1s'], /unknown option '--delay'/],
])('fork %j is wrong use', async (args, message) => {
  const { code, stderr } = await inProcess(['fork', 'origin', ...args])
  expect(code).toBe(2)
  expect(stderr).toMatch(message)
})
