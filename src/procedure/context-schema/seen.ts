/**
 * The properties or items of one value that some keyword has looked at, which `unevaluatedProperties` and
 * `unevaluatedItems` leave out. What a schema has seen counts for the one it applies through (`allOf`, `$ref` and so on)
 * only when it holds.
 */
export class Seen {
  readonly #keys = new Set<PropertyKey>()
  /** Items before this one have been seen, all of them. */
  #items = 0
  #everyKey = false

  addKey(key: PropertyKey): void {
    this.#keys.add(key)
  }

  addEveryKey(): void {
    this.#everyKey = true
  }

  addItemsBefore(index: number): void {
    this.#items = Math.max(this.#items, index)
  }

  addAll(other: Seen): void {
    for (const key of other.#keys) this.#keys.add(key)
    this.#everyKey ||= other.#everyKey
    this.addItemsBefore(other.#items)
  }

  hasKey(key: string): boolean {
    return this.#everyKey || this.#keys.has(key)
  }

  hasItem(index: number): boolean {
    return index < this.#items || this.#keys.has(index)
  }
}
