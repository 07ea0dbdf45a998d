import Foundation
import Testing
import VarveGzip
import VarveModel

@testable import VarveClient

@Suite struct ContentDigestTests {
    func digest(_ bytes: [UInt8]) throws -> ContentDigest {
        let path = NSTemporaryDirectory() + "/varve-content-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(filePath: path))
        return try ContentDigest(of: .file(path))
    }

    /// Around the size of a leaf, where the two ways of reading could part.
    @Test(arguments: [0, 1, 2, 1 << 18, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) + 17])
    func aFileAndItsGzipHaveTheSameDigest(_ size: Int) throws {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let plain = try digest(bytes)
        #expect(plain.bytes == size)
        #expect(try digest(GzipWriter.deflate(bytes, level: 1)) == plain)
    }

    @Test func oneByteMakesAnotherDigest() throws {
        var bytes = [UInt8](repeating: 7, count: 2 << 20)
        let before = try digest(bytes)
        bytes[(1 << 20) + 5] = 8
        #expect(try digest(bytes) != before)
    }
}
