// The functions that the procedures in this folder call. Give them to a worker:
//
//   procession worker --actions examples/actions.mjs
//
// An action gets the run's context, the arguments of its definition and information on the attempt. An object that it returns is
// merged into the context; what it throws is a failed attempt, and the error's `code` is what transitions and retries see.
import { createHash } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'

const ENVIRONMENTS = ['staging', 'prod']
const ARTEFACTS = ['api', 'web', 'jobs']
const ARTEFACT_BYTES = 64 * 1024

/** An error with a code. */
function failure(code, message) {
  return Object.assign(new Error(message), { code })
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex')
}

/** Bytes that look random and are the same for the same seed, so that a repeated attempt builds the same. */
function bytesFrom(seed, length) {
  const blocks = []
  for (let i = 0; i * 32 < length; i++) blocks.push(createHash('sha256').update(`${seed}/${i}`).digest())
  return Buffer.concat(blocks).subarray(0, length)
}

/** deploy.json */
export const deploy = {
  validate({ env }) {
    if (!ENVIRONMENTS.includes(env))
      throw failure('invalid_env', `env is ${JSON.stringify(env)}; deploy to ${ENVIRONMENTS.join(' or ')}`)
    return { validated: true }
  },

  /** Generates the artefacts, and keeps their digests; `failBuild` in the context makes the last one fail to compile. */
  build({ env, failBuild }, _args, { idempotencyKey }) {
    const artefacts = ARTEFACTS.map((name) => {
      if (failBuild && name === ARTEFACTS.at(-1)) throw failure('build_failed', `${name} does not compile`)
      return { name, sha256: sha256(bytesFrom(`${idempotencyKey}/${env}/${name}`, ARTEFACT_BYTES)).slice(0, 16) }
    })
    return { build: { artefacts, bytes: ARTEFACTS.length * ARTEFACT_BYTES } }
  },

  deploy({ env, build }) {
    const release = sha256(build.artefacts.map((artefact) => artefact.sha256).join()).slice(0, 12)
    return { release: `${env}-${release}` }
  },

  rollback({ release }) {
    return { rolledBack: release ?? 'nothing had been released' }
  },
}

const CITIES = ['Bergen', 'Cusco', 'Dakar', 'Hanoi', 'Lagos', 'Quito']

/** data-pipeline.json */
export const pipeline = {
  /** Generates `records` measurements as a careless source would send them; is busy for the first `busyAttempts`. */
  fetch({ source = 'sensors', records = 60, busyAttempts = 0 }, _args, { attempt, log }) {
    if (attempt <= busyAttempts) throw failure('E_BUSY', `${source} is busy, try again`)
    const random = bytesFrom(source, records * 2)
    const raw = Array.from({ length: records }, (_, i) => {
      const city = CITIES[random[2 * i] % CITIES.length]
      const degrees = 10 + (random[2 * i + 1] % 300) / 10
      // Every seventh in Fahrenheit, every eleventh broken.
      const reading = i % 7 === 6 ? `${(degrees * 1.8 + 32).toFixed(1)}F` : `${degrees.toFixed(1)}C`
      return { city: i % 3 === 0 ? ` ${city.toUpperCase()} ` : city, reading: i % 11 === 10 ? 'n/a' : reading }
    })
    log.info({ source, records }, 'fetched')
    return { raw }
  },

  /** Cleans names and units, drops what is broken, and aggregates by city. */
  transform({ raw }) {
    const byCity = new Map()
    let kept = 0
    for (const { city, reading } of raw) {
      const match = /^(-?[\d.]+)([CF])$/.exec(reading)
      if (!match) continue
      const celsius = match[2] === 'F' ? (Number(match[1]) - 32) / 1.8 : Number(match[1])
      const name = city.trim().toLowerCase()
      byCity.set(name, [...(byCity.get(name) ?? []), celsius])
      kept++
    }
    const rows = [...byCity].sort().map(([city, values]) => ({
      city,
      count: values.length,
      meanCelsius: round(values.reduce((sum, value) => sum + value, 0) / values.length),
      maxCelsius: round(Math.max(...values)),
    }))
    const maxCelsius = Math.max(...rows.map((row) => row.maxCelsius))
    // `raw` has served its purpose; what is merged cannot be taken out, but it can be made small.
    return { raw: [], rows, summary: { cities: rows.length, kept, dropped: raw.length - kept, maxCelsius } }
  },

  /** Compresses the rows, reads them back as a careful store does, and keeps what would find them again. */
  store({ source = 'sensors', rows }) {
    const text = rows.map((row) => JSON.stringify(row)).join('\n')
    const packed = gzipSync(text)
    if (gunzipSync(packed).toString() !== text) throw failure('store_damaged', 'what was stored cannot be read back')
    return { stored: { name: `${source}-${sha256(text).slice(0, 12)}.ndjson.gz`, bytes: packed.length } }
  },
}

function round(value) {
  return Math.round(value * 10) / 10
}
