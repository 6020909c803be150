import type { JSX } from 'preact'

import { device } from '../../state/device.ts'
import { deviceChoice, DEVICES } from '../../state/run.ts'

const TITLES = {
  auto: 'Whatever is fastest',
  webgpu: 'Graphics card (WebGPU)',
  wasm: 'Processor (WebAssembly)',
} as const

/** On what models are to run; what this browser does not have is not offered. */
export function DevicePicker(): JSX.Element {
  const offered = DEVICES.filter((name) => name !== 'webgpu' || device.value?.webgpu.works === true)
  return (
    <label class="field inline">
      <span class="hint">Runs on</span>
      <select
        value={offered.includes(deviceChoice.value) ? deviceChoice.value : 'auto'}
        onChange={({ currentTarget }) => {
          deviceChoice.value = DEVICES.find((name) => name === currentTarget.value) ?? 'auto'
        }}
      >
        {offered.map((name) => (
          <option key={name} value={name}>
            {TITLES[name]}
          </option>
        ))}
      </select>
    </label>
  )
}
