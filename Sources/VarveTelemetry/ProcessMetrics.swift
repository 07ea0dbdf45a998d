// `process_*`: what Prometheus' own clients tell about their process, read from /proc at each scrape.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the kernel knows of this process. A value that cannot be read is nil, and its sample is left out.
package enum ProcessMetrics {
    package static func register(in registry: MetricsRegistry) {
        registry.gauge("process_resident_memory_bytes", help: "Resident memory of this process in bytes.") {
            residentBytes().map(Double.init)
        }
        registry.gauge("process_virtual_memory_bytes", help: "Virtual memory of this process in bytes.") {
            memoryPages(field: 0).map { Double($0 * pageBytes) }
        }
        registry.counter(
            "process_cpu_seconds_total", help: "Processor time this process has used, user and system, in seconds."
        ) { cpuSeconds() }
        registry.gauge("process_open_fds", help: "File descriptors this process has open.") {
            openDescriptors().map(Double.init)
        }
        registry.gauge("process_max_fds", help: "File descriptors this process may have open.") {
            var limit = rlimit()
            return getrlimit(descriptorLimit, &limit) == 0 ? Double(limit.rlim_cur) : nil
        }
        let started = startSeconds()
        registry.gauge("process_start_time_seconds", help: "When this process started, in seconds since 1970.") {
            started
        }
    }

    package static func residentBytes() -> Int? { memoryPages(field: 1).map { $0 * pageBytes } }

    /// User and system time.
    package static func cpuSeconds() -> Double? {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    package static func openDescriptors() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without `.`, `..` and the descriptor of this very look.
        return count - 3
    }

    /// Seconds since 1970.
    package static func startSeconds() -> Double? {
        // The second field is the program's name in parentheses and may hold anything, so fields count from behind it.
        guard let stat = readText("/proc/self/stat"), let name = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: name)...].split(separator: " ")
        let ticksASecond = sysconf(Int32(_SC_CLK_TCK))
        guard fields.count > 19, let ticks = Double(fields[19]), ticksASecond > 0,
            let boot = readText("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let booted = Double(boot.dropFirst("btime ".count))
        else { return nil }
        return booted + ticks / Double(ticksASecond)
    }

    private static var pageBytes: Int { Int(sysconf(Int32(_SC_PAGESIZE))) }

    #if canImport(Glibc)
        private static let descriptorLimit = __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue))
    #else
        private static let descriptorLimit = RLIMIT_NOFILE
    #endif

    private static func memoryPages(field: Int) -> Int? {
        guard let fields = readText("/proc/self/statm")?.split(whereSeparator: \.isWhitespace), fields.count > field
        else { return nil }
        return Int(fields[field])
    }

    /// A small file of /proc; they have no size, so they are read until they end.
    private static func readText(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8192)
        while bytes.count < 1 << 20 {
            let got = read(descriptor, &chunk, chunk.count)
            if got <= 0 { break }
            bytes.append(contentsOf: chunk[..<got])
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}
