import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { EventLoopWatch } from '../../src/worker/event-loop-watch.js'
import { waitUntil } from '../support/processes.js'

const block = (ms: number) => {
  const until = performance.now() + ms
  while (performance.now() < until);
}

function watched() {
  const blocks: number[] = []
  let beats = 0
  const watch = new EventLoopWatch(
    20,
    () => beats++,
    (ms) => blocks.push(ms),
  )
  watch.start()
  onTestFinished(() => watch.stop())
  return { watch, blocks, beats: () => beats }
}

test('a block of a second or more is told once, and beats go on after it', async () => {
  const { blocks, beats } = watched()
  await waitUntil('it beats', () => beats() > 2)
  block(1_200)
  const before = beats()
  await waitUntil('it beats again', () => beats() > before + 2)
  expect(blocks).toHaveLength(1)
  expect(blocks[0]).toBeGreaterThanOrEqual(1_000)
})

test('a timeout is put off by a block, so that what has come meanwhile is heard first', async () => {
  const { watch, beats } = watched()
  await waitUntil('it beats', () => beats() > 2)
  const order: string[] = []
  const over = new Promise<void>((resolve) => {
    watch.unblockedTimeout(() => {
      order.push('timeout')
      resolve()
    }, 300)
  })
  // Due before the timeout but for the block, and longer in coming than one turn of the loop.
  const work = delay(100)
    .then(() => delay(100))
    .then(() => order.push('work'))
  block(600)
  await Promise.all([over, work])
  expect(order).toStrictEqual(['work', 'timeout'])
})

test('a timeout that is cancelled while it is put off does not fire', async () => {
  const { watch, beats } = watched()
  await waitUntil('it beats', () => beats() > 2)
  let fired = false
  const cancel = watch.unblockedTimeout(() => {
    fired = true
  }, 50)
  block(600)
  // Both timers are due; the timeout comes first, and finds that it was blocked.
  await delay(1)
  cancel()
  await delay(1_000)
  expect(fired).toBe(false)
})

test('a watch that was stopped is silent', async () => {
  const { watch, blocks, beats } = watched()
  watch.stop()
  const before = beats()
  block(1_100)
  await delay(50)
  expect([blocks, beats()]).toStrictEqual([[], before])
})
