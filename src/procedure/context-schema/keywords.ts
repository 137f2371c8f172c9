import { z } from 'zod'
import { type FaultParams, refusal } from '../../guards/strict-schema.js'
import { isJsonObject, type Json } from '../../kernel/json.js'
import { LIMITS } from '../../kernel/limits.js'
import { chosenBy } from '../../guards/strict-schema.js'
import { flagSchema, listOf, recordOf, someText, textSchema } from '../value-schema.js'

/** Where the schemas below a keyword stand: its value, the items of a list, the values of an object, or none there. */
type Holds = 'schema' | 'list' | 'entries' | 'nothing'
