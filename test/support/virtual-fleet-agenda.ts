/** Something that will happen at a time of a virtual clock. */
export interface Appointment {
  readonly at: number
  /** How many writes the run had seen when it was made. */
  readonly writes: number
  /** It moves the run no more. */
  beside?: boolean
  readonly keep: () => void
}

/** What is to happen, in the order of its times; of the same time, in the order in which it was made. */
export class VirtualAgenda {
  #appointments: Appointment[] = []

  get size(): number {
    return this.#appointments.length
  }

  /** Infinity when nothing is to happen. */
  nextAt(): number {
    return Math.min(Infinity, ...this.#appointments.map(({ at }) => at))
  }

  add(appointment: Appointment): Appointment {
    this.#appointments.push(appointment)
    return appointment
  }

  cancel(appointment: Appointment | undefined): void {
    this.#appointments = this.#appointments.filter((other) => other !== appointment)
  }

  keepNext(): void {
    const at = this.nextAt()
    const next = this.#appointments.find((appointment) => appointment.at === at)
    this.cancel(next)
    next?.keep()
  }

  dues(which: (appointment: Appointment) => boolean): { at: number; writes: number }[] {
    return this.#appointments.filter(which).map(({ at, writes }) => ({ at, writes }))
  }
}
