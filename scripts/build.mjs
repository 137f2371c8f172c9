// Builds dist/: TypeScript compiled by tsc, and the Lua files, which tsc does not copy, put beside their loaders.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
rmSync(dist, { recursive: true, force: true })
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
for (const lua of ['src/queue/lua', 'src/runs/lua']) cpSync(join(root, lua), join(dist, lua), { recursive: true })
chmodSync(join(dist, 'src/cli/main.js'), 0o755)
