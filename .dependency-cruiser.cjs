// The layers of docs/architecture: data flows one way, `cli → worker → runs → engine → procedure → guards → kernel`.
// `MAY_IMPORT` is the whole rule; a folder that is not a key of it may not exist under src/.
const MAY_IMPORT = {
  kernel: [],
  guards: ['kernel'],
  procedure: ['kernel', 'guards'],
  engine: ['kernel', 'guards', 'procedure'],
  redis: ['kernel'],
  queue: ['kernel', 'redis'],
  runs: ['kernel', 'guards', 'procedure', 'engine', 'redis', 'queue'],
  actions: ['kernel', 'guards', 'procedure', 'runs'],
  worker: ['kernel', 'guards', 'procedure', 'engine', 'redis', 'queue', 'runs', 'actions'],
  cli: ['kernel', 'guards', 'procedure', 'engine', 'redis', 'runs', 'actions', 'worker'],
}

const layerRules = Object.entries(MAY_IMPORT).map(([layer, allowed]) => ({
  name: `layer-${layer}`,
  comment: `src/${layer} may import ${allowed.length === 0 ? 'nothing of ours' : allowed.map((name) => `src/${name}`).join(', ')}`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: '^(src|workers|bench|test)/', pathNot: `^src/(${[layer, ...allowed].join('|')})/` },
}))

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unknown-layer',
      comment: 'every folder of src is a layer with a line in MAY_IMPORT',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: `^src/(${Object.keys(MAY_IMPORT).join('|')})/` },
      to: {},
    },
    {
      name: 'only-queue-knows-bullmq',
      severity: 'error',
      from: { path: '^(src|workers)/', pathNot: '^src/queue/' },
      to: { path: '(^|/)bullmq($|/)' },
    },
    {
      name: 'only-one-file-knows-the-cel-library',
      severity: 'error',
      from: { path: '^(src|workers)/', pathNot: '^src/guards/cel/language' },
      to: { path: 'cel-js' },
    },
    {
      name: 'pure-core-has-no-io',
      comment: 'kernel, guards, procedure and engine decide; the edges do',
      severity: 'error',
      from: { path: '^src/(guards|procedure|engine)/' },
      to: { path: '(^|/)(ioredis|bullmq|pino)($|/)|^(fs|net|http|https|child_process|timers)(/|$)' },
    },
    {
      name: 'no-process-entry-import',
      comment: 'workers/ holds process entry points: nothing imports them',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(workers|bench|test)/' },
    },
    {
      name: 'no-unresolved',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
      conditionNames: ['import', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
}
