/// A record that ends the process, for tests of what is done about such records: only in debug builds, where the environment
/// names it.

internal import VarveLog
internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

enum PlantedPoison {
    #if DEBUG
        /// Submission ids, 32 hexadecimal digits each, with commas between.
        static let variable = "VARVE_PLANTED_POISON"

        static let seam: (@Sendable (LogEntry) -> Void)? = {
            guard let value = getenv(variable) else { return nil }
            let ids = String(cString: value).split(separator: ",").compactMap { SubmissionID(hex: String($0)) }
            guard !ids.isEmpty else { return nil }
            return { entry in
                guard case .record(let record) = Record.decode(entry.bytes, tag: nil), ids.contains(record.header.id)
                else { return }
                fatalError("planted poison \(record.header.id)")
            }
        }()
    #else
        static let seam: (@Sendable (LogEntry) -> Void)? = nil
    #endif
}
