import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { readProcedureFiles } from '../../src/cli/procedure-files.js'
import { inProcess, procession } from './command.js'

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

const FAULTY = `{
  "name": "faulty",
  "version": "one",
  "definition": {
    "initial_state": "begin",
    "states": {
      "start": {
        "transitions": [
          { "event": "success", "target": "midle" },
          { "event": "error" }
        ]
      },
      "middle": { "timeout_ms": -5, "colour": "red" }
    }
  }
}`

/** Line and code of each fault of the one procedure in `path`. */
async function faultsOf(path: string): Promise<string[]> {
  const [item] = await readProcedureFiles([path])
  return item!.faults.map(({ line, code }) => `${line} ${code}`)
}

describe('the command', () => {
  test('passes the examples, needs no Redis and no network', async () => {
    const files = ['deploy', 'approval', 'data-pipeline'].map((name) => resolve(`examples/${name}.json`))
    const ended = await procession(['validate', ...files], { env: { REDIS_URL: undefined }, cwd: folder })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout.match(/valid$/gm)).toHaveLength(3)
  })

  test('tells every fault with file, line, path and remedy, and ends with 1', async () => {
    const path = await file('faulty.json', FAULTY)
    const ended = await inProcess(['validate', path])
    expect(ended.code).toBe(1)
    expect(ended.stdout).toContain(`${path}:9: fault: definition.states.start.transitions[0].target: `)
    expect(ended.stdout).toMatch(/"midle"; .*'?middle'?/)
  })

  test('reads stdin, and prints one document with --json', async () => {
    const ended = await procession(['validate', '-', '--json'], { input: FAULTY })
    expect(ended.code).toBe(1)
    const document = ended.json<{ valid: boolean; items: { file: string; name: string; faults: unknown[] }[] }>()
    expect(document).toMatchObject({ valid: false, items: [{ file: '(stdin)', name: 'faulty', version: 'one' }] })
    expect(document.items[0]!.faults.length).toBeGreaterThanOrEqual(5)
  })
})

test('register stores nothing when one of its files has a fault', async () => {
  const paths = [resolve('examples/deploy.json'), await file('one.json', FAULTY)]
  const at = ['--prefix', 'cli-validate']
  const refused = await procession(['register', ...paths, ...at, '--json'])
  expect(refused.code).toBe(1)
  expect(refused.json()).toMatchObject({ error: { code: 'invalid_schema', issues: expect.any(Array) } })
  expect((await inProcess(['procedures', '--redis', inject('redisUrl'), ...at, '--json'])).json()).toEqual({
    items: [],
  })
})

describe('lines', () => {
  test('are those of keys; of the enclosing value where something is missing', async () => {
    expect(await faultsOf(await file('lines.json', FAULTY))).toEqual(
      expect.arrayContaining([
        '3 bad_version',
        '5 unknown_state',
        '9 unknown_target',
        '10 missing_field',
        '13 unknown_key',
      ]),
    )
  })

  test('count through a file that holds a list', async () => {
    const good = await readFile('examples/approval.json', 'utf8')
    const items = await readProcedureFiles([await file('list.json', `[\n${good.trim()},\n${FAULTY}\n]`)])
    expect(items.map(({ name, faults }) => [name, faults.length > 0])).toEqual([
      ['approval', false],
      ['faulty', true],
    ])
    const before = 1 + good.trim().split('\n').length
    expect(items[1]!.faults[0]).toMatchObject({ code: 'bad_version', line: before + 3 })
  })

  test.each([
    ['broken JSON', '{"name": "x",\n }', '2 invalid_json'],
    ['broken JSON in a list', '[{"name": "x"},\n {"a": tru}]', '2 invalid_json'],
    ['an empty list', '[]', '1 empty_list'],
    ['a text', '"text"', '1 wrong_type'],
    ['a key given twice, behind a byte order mark', '\ufeff{"name": 1,\n"name": 2}', '2 duplicate_key'],
    ['what is nested too deep', '['.repeat(100_000), '1 over_limit'],
  ])('of %s', async (_what, text, fault) => {
    expect(await faultsOf(await file('odd.json', text))).toContain(fault)
  })
})
