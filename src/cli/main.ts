#!/usr/bin/env node
import { Output } from './output.js'
import { runCli } from './program.js'

// No process.exit: it could cut off what a pipe has not taken yet. Each command closes what it opened.
process.exitCode = await runCli(process.argv.slice(2), new Output())
