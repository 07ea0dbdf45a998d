/// Cells of JSON columns: canonical JSON of one CBOR item, and the item it was.

import VarveModel

enum JSONCells {
    /// Appends what `body` writes without copying what is there.
    private static func write(
        to data: inout [UInt8], _ body: (inout JSONWriter) throws(CBORFault) -> Void
    ) throws(CBORFault) {
        var writer = JSONWriter()
        swap(&writer.bytes, &data)
        defer { swap(&writer.bytes, &data) }
        try body(&writer)
    }

    static func append(item: UnsafeRawBufferPointer, to data: inout [UInt8]) throws(DocumentFault) {
        do throws(CBORFault) {
            try write(to: &data) { writer throws(CBORFault) in try writer.item(item) }
        } catch {
            throw DocumentFault(reason: "a value cannot be written as JSON")
        }
    }

    static func append(key: Key, to data: inout [UInt8]) {
        var writer = JSONWriter()
        swap(&writer.bytes, &data)
        writer.key(key)
        swap(&writer.bytes, &data)
    }

    /// One object of names and items that alternate in `parts`; names in byte order.
    static func append(object parts: [UnsafeRawBufferPointer], to data: inout [UInt8]) throws(DocumentFault) {
        let order = stride(from: 0, to: parts.count, by: 2).sorted { compareRaw(parts[$0], parts[$1]) < 0 }
        do throws(CBORFault) {
            try write(to: &data) { writer throws(CBORFault) in
                writer.bytes.append(UInt8(ascii: "{"))
                for (i, place) in order.enumerated() {
                    if i > 0 { writer.bytes.append(UInt8(ascii: ",")) }
                    writer.text(parts[place])
                    writer.bytes.append(UInt8(ascii: ":"))
                    try writer.item(parts[place + 1])
                }
                writer.bytes.append(UInt8(ascii: "}"))
            }
        } catch {
            throw DocumentFault(reason: "a value cannot be written as JSON")
        }
    }

    /// The item that a cell's text stands for; nil when it is no JSON.
    static func item(_ text: UnsafeRawBufferPointer) -> Bytes? { try? cborItem(fromJSON: text) }
}
