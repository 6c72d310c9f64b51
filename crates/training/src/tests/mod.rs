mod resume;
mod toy;
