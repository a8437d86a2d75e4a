"""The DICOM services that the node offers, one family of SOP classes a file, and who may use them."""
