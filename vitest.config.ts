import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

import { playwright } from '@vitest/browser-playwright'
import { defaultClientConditions, defaultServerConditions } from 'vite'
import { defineConfig, type TestProjectConfiguration } from 'vitest/config'

import { CHROMIUM, CHROMIUM_ARGUMENTS, whyNoChromium } from './tooling/chromium.ts'
import { pageCommands } from './tooling/kubo/page-commands.ts'
import { isRequired } from './tooling/required.ts'

// Packages are tested from their sources: nothing has to be built first.
const source = '@x/source'

const full = process.env.IPFS_ACCELERATE_TEST_FULL === '1'
// Some of those that run at full length then are heavy tests.
const soak = process.env.IPFS_ACCELERATE_TEST_SOAK === '1'

/**
 * Whatever a busy machine does meanwhile, in which a process may stand still for seconds: what these end has hung. Those of
 * Vitest itself are 5 s in Node, 15 s in a page, and 1 s for `expect.poll`.
 */
const limits = {
  testTimeout: full || soak ? 1_200_000 : 240_000,
  hookTimeout: full || soak ? 1_200_000 : 240_000,
  expect: { poll: { timeout: 60_000 } },
}
const folders =
  '{packages/*,apps/*,tooling,tooling/fixtures,tooling/faults,tooling/kubo,tooling/gateway-conformance,examples}'

// interface-blockstore-tests imports it, and has it among its development dependencies alone.
const aegirChai = new URL('packages/storage-core/test/interface-blockstore/aegir-chai.ts', import.meta.url)

const setupFiles = ['equal-bytes', 'patterns-are-no-texts'].map((name) =>
  fileURLToPath(new URL(`tooling/${name}.ts`, import.meta.url)),
)

const node: TestProjectConfiguration = {
  // A node project resolves through `ssr`; `resolve.conditions` would be ignored here. Node itself knows no `module`, and what stands
  // there in some packages is for bundlers alone.
  ssr: { resolve: { conditions: [source, ...defaultServerConditions.filter((condition) => condition !== 'module')] } },
  resolve: { alias: { 'aegir/chai': fileURLToPath(aegirChai) } },
  test: {
    name: 'node',
    setupFiles,
    // Else Node loads it, and knows no alias.
    server: { deps: { inline: ['interface-blockstore-tests'] } },
    include: full ? [`${folders}/test/**/*.full.test.ts`] : [`${folders}/test/**/*.test.ts`],
    exclude: ['**/node_modules/**', '**/*.browser.test.ts', ...(full || soak ? [] : ['**/*.full.test.ts'])],
    environment: 'node',
    // ONNX Runtime would report to its maker, and leave files for that in the temporary directory and the user's cache.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    ...limits,
  },
}

function browser(): TestProjectConfiguration {
  return {
    resolve: { conditions: [source, ...defaultClientConditions] },
    // What is found in the middle of a run is bundled then, and every page that is open loaded again. The quick tests and the
    // heavy ones share what was bundled, so each looks through the files of both.
    optimizeDeps: {
      include: [
        '@x/cli > @huggingface/transformers',
        '@x/cli > @huggingface/transformers > onnxruntime-web/jspi',
        '@x/cli > @huggingface/transformers > onnxruntime-web/webgpu',
      ],
      entries: [`${folders}/test/**/*.browser.test.ts`],
    },
    test: {
      name: 'browser',
      setupFiles,
      include: [`${folders}/test/**/*${full ? '.full' : ''}.browser.test.ts`],
      exclude: ['**/node_modules/**', ...(full ? [] : ['**/*.full.browser.test.ts'])],
      ...limits,
      browser: {
        enabled: true,
        headless: true,
        connectTimeout: 600_000,
        screenshotFailures: false,
        commands: pageCommands,
        provider: playwright({
          launchOptions: {
            executablePath: CHROMIUM,
            args: [...CHROMIUM_ARGUMENTS, '--disable-quic', '--enable-features=WebMachineLearningNeuralNetwork'],
          },
        }),
        instances: [{ browser: 'chromium' }],
      },
    },
  }
}

const noChromium = whyNoChromium()
if (noChromium !== undefined) {
  const note = `browser tests: ${noChromium}`
  // Who names one means it.
  if (isRequired('chromium') || process.env.CHROMIUM_PATH) throw new Error(note)
  process.env.TEST_LEFT_OUT = note
  console.warn(note)
}

export default defineConfig({
  test: {
    // Vitest leaves one core alone; many tests wait for other programs. A heavy test has the machine for itself.
    maxWorkers: full ? 1 : availableParallelism(),
    projects: noChromium === undefined ? [node, browser()] : [node],
    // A package may have browser tests alone.
    passWithNoTests: noChromium !== undefined,
  },
})
