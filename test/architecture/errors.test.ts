import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ERRORS } from '../../src/kernel/errors.js'

const root = new URL('../..', import.meta.url).pathname
const tracked = (pattern: string) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', pattern], {
    cwd: root,
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
    .filter((file) => file !== '' && !file.startsWith('test/architecture/'))
const textOf = (files: string[]) => files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n')

const codes = Object.keys(ERRORS)
const documented = new Map(
  [
    ...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(
      /^\| `(\w+)` \| (api|run) \| (\d+|–) \| (yes|no) \|/gm,
    ),
  ].map(([, code, kind, http, retryable]) => [code!, { kind, http, retryable }]),
)

describe('the error catalogue', () => {
  test('is documented code by code, and nothing else is', () => {
    expect([...documented.keys()].sort()).toStrictEqual([...codes].sort())
  })

  test.each(Object.entries(ERRORS))('%s is documented as it is', (code, { kind, http, retryable }) => {
    expect(documented.get(code)).toStrictEqual({
      kind,
      http: kind === 'api' ? String(http) : '–',
      retryable: retryable ? 'yes' : 'no',
    })
  })

  test.each(codes)('%s is used by the code and exercised by a test', (code) => {
    const word = new RegExp(`['"\`]${code}['"\`]`)
    const sources = tracked('src/*.ts').filter((file) => file !== 'src/kernel/errors.ts')
    expect(word.test(textOf(sources)), 'in src').toBe(true)
    expect(new RegExp(`\\b${code}\\b`).test(textOf(tracked('test/*.ts'))), 'in test').toBe(true)
  })

  test('the code throws no code that is not in it', () => {
    const thrown = [...textOf(tracked('src/*.ts')).matchAll(/new ProcessionError\(\s*'(\w+)'/g)].map(([, code]) => code)
    expect(thrown.filter((code) => !codes.includes(code!))).toStrictEqual([])
    expect(thrown.length).toBeGreaterThan(20)
  })
})
