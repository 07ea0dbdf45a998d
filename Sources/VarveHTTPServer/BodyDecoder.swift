import VarveGzip

/// A gzip body on its way: what was received, and how far it was inflated.
struct BodyDecoder: ~Copyable {
    /// The whole of a collected body.
    var collected: [UInt8] = []
    private var source: Source?
    private var packed: [UInt8] = []
    private var used = 0

    init() {}

    mutating func feed(_ bytes: [UInt8]) {
        packed = bytes
        used = 0
    }

    /// Some inflated bytes; nil when more input is needed first.
    mutating func step() throws(GzipError) -> [UInt8]? {
        let source = try opened()
        while used < packed.count || source.reader.hasMore {
            var plain: [UInt8] = []
            used += try source.reader.inflate(packed[used...], into: &plain, limit: Exchange.decodedStepBytes)
            if !plain.isEmpty { return plain }
        }
        return nil
    }

    mutating func finish() throws(GzipError) {
        try opened().reader.finish()
    }

    private mutating func opened() throws(GzipError) -> Source {
        if let source { return source }
        let new = Source(try GzipReader())
        source = new
        return new
    }

    /// Made only for a body that needs it: zlib's state is 40 KB.
    private final class Source {
        var reader: GzipReader
        init(_ reader: consuming GzipReader) { self.reader = reader }
    }
}
