import Foundation
import VarveLog
import VarveModel

func records(_ range: Range<Int>) -> [Bytes] { range.map { Bytes("record \($0)") } }

extension LogTail {
    func entries(_ count: Int) async throws(VarveError) -> [LogEntry] {
        var all: [LogEntry] = []
        while all.count < count, let batch = try await next() { all += batch.entries }
        return all
    }
}

extension AppendResult {
    var offset: Int64? {
        if case .stored(let offset, _) = self { return offset?.value }
        return nil
    }
    var refusal: ErrorCode? {
        if case .refused(let error) = self { return error.code }
        return nil
    }
    var isUnknown: Bool {
        if case .unknown = self { return true }
        return false
    }
}

/// The code that `body` throws, or nil.
func code(_ body: () async throws -> Void) async -> ErrorCode? {
    do {
        try await body()
        return nil
    } catch let error as VarveError {
        return error.code
    } catch {
        return nil
    }
}

/// Cuts the only segment of a stopped broker's partition to a part of its length, as a power failure would.
func truncateSegment(in directory: String, keeping share: Double) throws {
    let path = directory + "/00000000000000000000.log"
    let file = try FileHandle(forUpdating: URL(filePath: path))
    let length = try file.seekToEnd()
    try file.truncate(atOffset: UInt64(Double(length) * share))
    try file.close()
}
