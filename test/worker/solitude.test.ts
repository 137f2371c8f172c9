import { describe, expect, test, vi } from 'vitest'
import { Solitude } from '../../src/worker/solitude.js'

const PATIENCE_MS = 1_000

/** Ordinary actions and suspects of one process, by the order in which they begin. */
function open() {
  const solitude = new Solitude()
  const begun: string[] = []
  const ordinary = (name: string) => {
    const waits = solitude.begin()
    if (waits) void waits.then(() => begun.push(name))
    else begun.push(name)
  }
  const suspect = (name: string) => {
    void solitude.beginSuspect(PATIENCE_MS).then((alone) => begun.push(`${name} ${alone ? 'alone' : 'beside'}`))
  }
  return { solitude, begun, ordinary, suspect }
}

const settled = () => vi.advanceTimersByTimeAsync(0)

describe('actions of one process', () => {
  vi.useFakeTimers()

  test('run beside one another', () => {
    const { begun, ordinary } = open()
    ordinary('a')
    ordinary('b')
    expect(begun).toStrictEqual(['a', 'b'])
  })

  test('do not begin while a suspect is alone, or waits to be', async () => {
    const { solitude, begun, ordinary, suspect } = open()
    ordinary('a')
    suspect('s')
    ordinary('b')
    await settled()
    expect(begun).toStrictEqual(['a'])
    solitude.end()
    await settled()
    expect(begun).toStrictEqual(['a', 's alone'])
    ordinary('c')
    solitude.endSuspect(true)
    await settled()
    expect(begun).toStrictEqual(['a', 's alone', 'b', 'c'])
  })

  test('go between two suspects, of which one is alone at a time', async () => {
    const { solitude, begun, ordinary, suspect } = open()
    suspect('s')
    suspect('t')
    ordinary('a')
    await settled()
    expect(begun).toStrictEqual(['s alone'])
    solitude.endSuspect(true)
    await settled()
    expect(begun).toStrictEqual(['s alone', 'a'])
    solitude.end()
    await settled()
    expect(begun).toStrictEqual(['s alone', 'a', 't alone'])
  })

  test('that are long are joined by a suspect whose patience is over, and by those that waited for it', async () => {
    const { solitude, begun, ordinary, suspect } = open()
    ordinary('long')
    suspect('s')
    ordinary('a')
    await vi.advanceTimersByTimeAsync(PATIENCE_MS - 1)
    expect(begun).toStrictEqual(['long'])
    await vi.advanceTimersByTimeAsync(1)
    expect(begun).toStrictEqual(['long', 's beside', 'a'])
    solitude.endSuspect(false)
    solitude.end()
    solitude.end()
    suspect('t')
    await settled()
    expect(begun.at(-1)).toBe('t alone')
  })

  test('are let in beside a suspect that shares, and its end changes nothing for them', async () => {
    const { solitude, begun, ordinary, suspect } = open()
    suspect('s')
    ordinary('a')
    solitude.share()
    await settled()
    ordinary('b')
    expect(begun).toStrictEqual(['s alone', 'a', 'b'])
    solitude.endSuspect(false)
    suspect('t')
    await settled()
    expect(begun).toHaveLength(3)
    solitude.end()
    solitude.end()
    await settled()
    expect(begun.at(-1)).toBe('t alone')
  })

  test('a suspect’s patience does not run out while another one is alone', async () => {
    const { solitude, begun, suspect } = open()
    suspect('s')
    suspect('t')
    await vi.advanceTimersByTimeAsync(5 * PATIENCE_MS)
    expect(begun).toStrictEqual(['s alone'])
    solitude.endSuspect(true)
    await settled()
    expect(begun).toStrictEqual(['s alone', 't alone'])
  })
})
