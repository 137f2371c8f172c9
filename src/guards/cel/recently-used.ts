/**
 * A bounded map that forgets what has not been used for longest, about. It keeps two halves: what is set or found in the
 * older one goes into the newer; when that is full, the older one is dropped. A hit in the newer half writes nothing.
 */
export class RecentlyUsed<Value> {
  readonly #half: number
  #newer = new Map<string, Value>()
  #older = new Map<string, Value>()

  /** Keeps at most `entries`, and at least the half of it that was used last. */
  constructor(entries: number) {
    this.#half = Math.max(1, Math.floor(entries / 2))
  }

  get(key: string): Value | undefined {
    const value = this.#newer.get(key)
    if (value !== undefined) return value
    const kept = this.#older.get(key)
    return kept === undefined ? undefined : this.set(key, kept)
  }

  set(key: string, value: Value): Value {
    if (this.#newer.size >= this.#half) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#newer.set(key, value)
    return value
  }
}
