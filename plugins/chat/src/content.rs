//! Blocks of a message: text, and images from the internal storage or from anywhere.

use std::io::Read as _;

use base64::Engine as _;
use llm::message::{Base64, Image, UserPart};
use sluice_sdk::{Failure, files, properties};

/// Largest image that is sent along: the least of what providers take.
const IMAGE_MAX_BYTES: u64 = 20 << 20;
/// What files begin with.
const MAGIC: [(&[u8], &str); 5] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF", "image/webp"),
];

/// What kind of block.
#[properties]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockType {
    #[default]
    Text,
    Image,
    Pdf,
}

/// A piece of a message.
#[properties]
#[derive(Debug, Clone)]
pub struct ContentBlock {
    /// What kind: TEXT by default, IMAGE. PDF is refused: no provider here is sent one yet.
    #[serde(rename = "type", default)]
    #[schemars(rename = "type")]
    pub kind: BlockType,
    /// The text of a TEXT block.
    pub text: Option<String>,
    /// Where the image is: `kestra:///…`, `nsfile:///…`, or a URL that the provider fetches.
    pub uri: Option<String>,
}

impl ContentBlock {
    /// The block as a part of a message.
    pub fn into_part(self) -> Result<UserPart, Failure> {
        match self.kind {
            BlockType::Text => {
                let text = self.text.ok_or_else(|| Failure::bad_property("a block of type TEXT needs a `text`"))?;
                Ok(UserPart::Text { text })
            }
            BlockType::Image => {
                let uri = self.uri.ok_or_else(|| Failure::bad_property("a block of type IMAGE needs a `uri`"))?;
                Ok(UserPart::Image { image: image(&uri)? })
            }
            BlockType::Pdf => Err(Failure::bad_property(
                "a block of type PDF is not supported: send its pages as images, or its text",
            )),
        }
    }
}

/// An image: of the internal storage as bytes, of elsewhere as its address.
pub fn image(uri: &str) -> Result<Image, Failure> {
    if uri.starts_with("https://") || uri.starts_with("http://") {
        return Ok(Image::Url(uri.to_owned()));
    }
    if let Some(data) = uri.strip_prefix("data:") {
        let (media_type, data) = data.split_once(";base64,").unwrap_or_default();
        let data = Base64::try_from(data.to_owned());
        return data
            .map(|data| Image::Bytes { media_type: media_type.to_owned(), data })
            .map_err(Failure::bad_property);
    }
    let size = files::size(uri)?;
    if size > IMAGE_MAX_BYTES {
        return Err(Failure::bad_property(format!("`{uri}` has {size} bytes, at most {IMAGE_MAX_BYTES} are sent")));
    }
    let mut bytes = Vec::new();
    files::open(uri)?.read_to_end(&mut bytes)?;
    let known = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    let Some((_, media_type)) = known else {
        return Err(Failure::bad_property(format!("`{uri}` is no PNG, JPEG, GIF or WebP")));
    };
    let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let data = Base64::try_from(data).map_err(|problem| Failure::new("HOST", problem))?;
    Ok(Image::Bytes { media_type: (*media_type).to_owned(), data })
}
