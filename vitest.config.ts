import { existsSync } from 'node:fs';

import { playwright } from '@vitest/browser-playwright';
import { defaultClientConditions, defaultServerConditions } from 'vite';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';

// Packages are tested from their sources: nothing has to be built first.
const source = '@x/source';

function findChromium(): string | undefined {
  const wanted = process.env.CHROMIUM_PATH;
  if (wanted && !existsSync(wanted)) throw new Error(`CHROMIUM_PATH: there is no ${wanted}`);
  return wanted || ['/usr/bin/chromium'].find((path) => existsSync(path));
}

const node: TestProjectConfiguration = {
  // A node project resolves through `ssr`; `resolve.conditions` would be ignored here.
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  test: {
    name: 'node',
    include: ['{packages,apps,tooling}/*/test/**/*.test.ts'],
    exclude: ['**/*.browser.test.ts'],
    environment: 'node',
  },
};

function browser(executablePath: string): TestProjectConfiguration {
  return {
    resolve: { conditions: [source, ...defaultClientConditions] },
    test: {
      name: 'browser',
      include: ['{packages,apps}/*/test/**/*.browser.test.ts'],
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({
          launchOptions: {
            executablePath,
            args: [
              '--no-sandbox',
              '--disable-background-networking',
              '--disable-component-update',
              '--disable-sync',
              '--no-first-run',
              '--disable-quic',
              '--enable-unsafe-webgpu',
            ],
          },
        }),
        instances: [{ browser: 'chromium' }],
      },
    },
  };
}

const chromium = findChromium();

export default defineConfig({
  plugins: [
    {
      name: 'say-what-is-left-out',
      configureVitest() {
        if (chromium) return;
        console.warn('No Chromium (CHROMIUM_PATH, /usr/bin/chromium): browser tests are left out.');
      },
    },
  ],
  test: {
    projects: chromium ? [node, browser(chromium)] : [node],
    // A package may have browser tests alone.
    passWithNoTests: chromium === undefined,
    coverage: { provider: 'v8', include: ['{packages,apps}/*/src/**'] },
  },
});
