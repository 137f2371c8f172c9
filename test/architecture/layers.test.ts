import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname

/** A copy of the tree, so that what is planted there disturbs nobody. */
const copy = mkdtempSync(join(tmpdir(), 'procession-layers-'))
for (const part of ['src', 'workers', 'package.json', '.dependency-cruiser.cjs'])
  cpSync(join(root, part), join(copy, part), { recursive: true })
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
afterAll(() => rmSync(copy, { recursive: true, force: true }))

/** Runs the check with files planted in the copy; they are gone after it. */
function check(planted: Record<string, string>): { status: number | null; output: string } {
  for (const [file, text] of Object.entries(planted)) {
    mkdirSync(join(copy, file, '..'), { recursive: true })
    writeFileSync(join(copy, file), text)
  }
  const args = [
    'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
    'src',
    'workers',
    '--config',
    '.dependency-cruiser.cjs',
  ]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' })
  for (const file of Object.keys(planted)) rmSync(join(copy, file))
  return { status, output: stdout + stderr }
}

describe('the layer check', () => {
  test('passes on the tree as it is, and looks at all of it', () => {
    const { status, output } = check({})
    expect(output).toMatch(/no dependency violations found \((\d+) modules/)
    const modules = Number(/\((\d+) modules/.exec(output)![1])
    const sources = ['src', 'workers'].flatMap((folder) =>
      readdirSync(join(copy, folder), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')),
    )
    expect(modules).toBeGreaterThanOrEqual(sources.length)
    expect(status).toBe(0)
  })

  const planted: [what: string, file: string, text: string, rule: string][] = [
    ['an import upwards', 'src/kernel/planted.ts', "import '../runs/store.js'\n", 'layer-kernel'],
    ['the engine knowing Redis', 'src/engine/planted.ts', "import '../redis/connection.js'\n", 'layer-engine'],
    ['I/O in the pure core', 'src/engine/planted-io.ts', "import 'node:fs'\n", 'pure-core-has-no-io'],
    ['BullMQ outside of its folder', 'src/runs/planted.ts', "import 'bullmq'\n", 'only-queue-knows-bullmq'],
    [
      'an import of a process entry',
      'src/worker/planted.ts',
      "import '../../workers/action-worker.js'\n",
      'no-process-entry-import',
    ],
    ['an import of what is not there', 'src/runs/planted-nowhere.ts', "import './nowhere.js'\n", 'no-unresolved'],
    ['a folder that is no layer', 'src/utils/planted.ts', "import '../kernel/limits.js'\n", 'no-unknown-layer'],
    ['a cycle', 'src/kernel/planted-a.ts', "import './planted-b.js'\n", 'no-cycle'],
  ]
  const files = Object.fromEntries([
    ...planted.map(([, file, text]) => [file, text]),
    ['src/kernel/planted-b.ts', "import './planted-a.js'\n"],
  ])
  const found = check(files)

  test.each(planted)('fails on %s', (_what, file, _text, rule) => {
    expect(found.status).not.toBe(0)
    expect(found.output).toMatch(new RegExp(`${rule}: ${file}`))
  })
})
