import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadLua } from '../../src/redis/scripts.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'procession-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}

const load = (name: string) => loadLua(pathToFileURL(join(folder, name)))
const code = (text: string) => text.split('\n').filter((line) => !line.startsWith('--'))

test('an include stands where its line stood; other comments stay', async () => {
  await write({ 'a.lua': '-- KEYS[1] x\n-- @include lib/b\nreturn b()\n', 'lib/b.lua': 'local function b() end\n' })
  expect(code(load('a.lua'))).toEqual(['local function b() end', 'return b()'])
  expect(load('a.lua')).toMatch(/^-- KEYS\[1\] x\n/)
})

test('a file is included once, before its first user, however often it is named', async () => {
  await write({
    'a.lua': '-- @include b\n-- @include c\n-- @include b\nreturn 1',
    'b.lua': '-- @include lib/d\nlocal b',
    'c.lua': '--@include lib/d  \r\nlocal c',
    'lib/d.lua': 'local d',
  })
  expect(code(load('a.lua'))).toEqual(['local d', 'local b', 'local c', 'return 1'])
})

test('a circle of includes ends', async () => {
  await write({ 'a.lua': '-- @include b\nlocal a', 'b.lua': '-- @include a\n-- @include b\nlocal b' })
  expect(code(load('a.lua'))).toEqual(['local b', 'local a'])
})

test('a missing include is told with both files', async () => {
  await write({ 'a.lua': '-- @include gone' })
  expect(() => load('a.lua')).toThrow(
    new RegExp(`${join(folder, 'gone.lua')}, which ${join(folder, 'a.lua')} includes`),
  )
})

test('a missing script is told with its file', () => {
  expect(() => load('none.lua')).toThrow(`The Lua script ${join(folder, 'none.lua')} cannot be read`)
})

test.each(['-- @include ../secret', '-- @include "b"', '-- @include b.lua', '-- @include', '-- @include /etc/b'])(
  'the line %j is refused: it names no script of the folder',
  async (line) => {
    await write({ 'a.lua': line })
    expect(() => load('a.lua')).toThrow('names no script')
  },
)
