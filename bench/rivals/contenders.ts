/** All contenders by name. */
import { chain } from './chain.js'
import { checkpoint } from './checkpoint.js'
import type { Contender } from './contender.js'
import { flow } from './flow.js'
import { procession } from './procession.js'

export const CONTENDERS = { procession, chain, flow, checkpoint } satisfies Record<string, Contender>
export type ContenderName = keyof typeof CONTENDERS

/** The names of the others. */
export const RIVALS = ['chain', 'flow', 'checkpoint'] as const satisfies readonly ContenderName[]
export type RivalName = (typeof RIVALS)[number]
