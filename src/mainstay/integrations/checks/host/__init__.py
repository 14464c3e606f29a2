"""The machine that Mainstay runs on: processor, memory, disks, load, processes, temperature."""
