import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, inject, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'procession-package-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (command: string, args: string[], cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** The README's example, on the tests' Redis and a namespace of its own. */
function readmeExample(): string {
  const example = /## In ten lines\n\n```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))![1]!
  const prefix = `package-${process.pid}`
  return example
    .replace("'redis://127.0.0.1:6379'", JSON.stringify(inject('redisUrl')))
    .replaceAll('{ connection', `{ prefix: '${prefix}', connection`)
}

/** Installed as a user would, in an empty folder outside of the repo, from the packed file. */
describe('the package', { timeout: 120_000 }, () => {
  test('installs in an empty folder, with types, Lua files and the command', () => {
    const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], root)) as [
      { filename: string },
    ]
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', `./${filename}`])
    const installed = join(folder, 'node_modules/procession')
    for (const file of [
      'dist/src/index.d.ts',
      'dist/src/queue/lua/finish.lua',
      'dist/src/runs/lua/register.lua',
      'dist/src/queue/lua/lib/run-commit.lua',
      'examples/deploy.json',
    ])
      expect(existsSync(join(installed, file)), file).toBe(true)
    for (const inside of ['src', 'test', 'bench']) expect(existsSync(join(installed, inside)), inside).toBe(false)
    expect(run('npx', ['--no-install', 'procession', '--version']).trim()).toBe(
      JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    )
  })

  test('runs the README’s example, and its types hold', () => {
    writeFileSync(join(folder, 'example.mts'), readmeExample())
    writeFileSync(join(folder, 'example.mjs'), readmeExample())
    const output = run(process.execPath, ['example.mjs'])
    expect(output).toContain("{ name: 'Ada', greeting: 'Hello, Ada!' }")
    symlinkSync(join(root, 'node_modules/@types'), join(folder, 'node_modules/@types'))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
      '--skipLibCheck',
      'example.mts',
    ]
    expect(run(process.execPath, [tsc, ...flags])).toBe('')
  })
})
