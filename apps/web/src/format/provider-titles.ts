const TITLES: Readonly<Record<string, string>> = {
  webgpu: 'the graphics card (WebGPU)',
  webnn: 'the accelerator (WebNN)',
  wasm: 'the processor (WebAssembly)',
}

/** On what something ran, for a person: `the graphics card (WebGPU)`. */
export const providerTitles = (executionProviders: readonly string[]): string =>
  executionProviders.map((name) => TITLES[name] ?? name).join(', then ')
