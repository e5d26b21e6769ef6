// SPDX-License-Identifier: GPL-2.0
/*
 * mkwrite_c: a filesystem with one file, for stable_page_mkwrite() in C.
 *
 *	mount -t mkwrite_c [-o store=HOW,limit=BYTES,error=ERRNO] DEVICE DIR
 *
 * DIR/data is the device, block by block. Its size may be changed, up to that of
 * the device, but is not kept. HOW says what a store into a shared mapping does:
 *
 *	stable	waits for writeback and reserves its bytes (the default)
 *	asked	the same, where the device asks for stable pages
 *	plain	waits for writeback
 *	stacked	waits for writeback over a page_mkwrite that does not
 *	locked	waits for writeback over one that waits where the device asks, and
 *		leaves the folio locked
 *	none	has the page_mkwrite that does not wait alone
 *
 * With limit= no store of stable or asked goes behind so many bytes: ENOSPC. With
 * error= the first one fails with that number.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/iomap.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/stable_pages.h>
#include <linux/statfs.h>
#include <linux/uio.h>

#define MKWRITE_C_MAGIC 0x6d6b7763

enum store {
	STORE_STABLE,
	STORE_ASKED,
	STORE_PLAIN,
	STORE_STACKED,
	STORE_LOCKED,
	STORE_NONE,
	STORE_NR
};

struct options {
	enum store store;
	u64 limit;
	atomic_t error;
};

static struct options *options_of(struct inode *inode)
{
	return inode->i_sb->s_fs_info;
}

/* The whole device is one extent. */
static int map_blocks(struct inode *inode, loff_t offset, loff_t length,
		      unsigned int flags, struct iomap *iomap, struct iomap *srcmap)
{
	struct block_device *bdev = inode->i_sb->s_bdev;

	iomap->bdev = bdev;
	iomap->offset = ALIGN_DOWN(offset, i_blocksize(inode));
	if (iomap->offset >= bdev_nr_bytes(bdev))
		return -ENOSPC;
	iomap->addr = iomap->offset;
	iomap->length = bdev_nr_bytes(bdev) - iomap->offset;
	iomap->type = IOMAP_MAPPED;
	return 0;
}

static const struct iomap_ops map_ops = {
	.iomap_begin = map_blocks,
};

static ssize_t writeback_range(struct iomap_writepage_ctx *wpc, struct folio *folio,
			       u64 pos, unsigned int len, u64 end)
{
	int error = map_blocks(wpc->inode, pos, len, IOMAP_WRITE, &wpc->iomap, NULL);

	return error ?: iomap_add_to_ioend(wpc, folio, pos, end, len);
}

static const struct iomap_writeback_ops writeback_ops = {
	.writeback_range = writeback_range,
	.writeback_submit = iomap_ioend_writeback_submit,
};

static int writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct iomap_writepage_ctx wpc = {
		.inode = mapping->host,
		.wbc = wbc,
		.ops = &writeback_ops,
	};

	return iomap_writepages(&wpc);
}

static int read_folio(struct file *file, struct folio *folio)
{
	iomap_bio_read_folio(folio, &map_ops);
	return 0;
}

static void readahead(struct readahead_control *rac)
{
	iomap_bio_readahead(rac, &map_ops);
}

static const struct address_space_operations mapping_ops = {
	.dirty_folio = iomap_dirty_folio,
	.invalidate_folio = iomap_invalidate_folio,
	.is_partially_uptodate = iomap_is_partially_uptodate,
	.migrate_folio = filemap_migrate_folio,
	.read_folio = read_folio,
	.readahead = readahead,
	.release_folio = iomap_release_folio,
	.writepages = writepages,
};

/* Stands for the allocation of blocks in a filesystem that has to do any. */
static int reserve(struct vm_fault *vmf, struct folio *folio, size_t len)
{
	struct options *options = options_of(file_inode(vmf->vma->vm_file));
	int error = atomic_xchg(&options->error, 0);

	if (error)
		return -error;
	return folio_pos(folio) + len > options->limit ? -ENOSPC : 0;
}

static vm_fault_t mkwrite_stable(struct vm_fault *vmf)
{
	return stable_page_mkwrite_prepare(vmf, STABLE_WAIT_ALWAYS, reserve);
}

static vm_fault_t mkwrite_asked(struct vm_fault *vmf)
{
	return stable_page_mkwrite_prepare(vmf, STABLE_WAIT_IF_ASKED, reserve);
}

/* How it was done before stable pages: the folio is dirty, and that is all. */
static vm_fault_t mkwrite_none(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);

	sb_start_pagefault(inode->i_sb);
	file_update_time(vmf->vma->vm_file);
	folio_mark_dirty_lock(page_folio(vmf->page));
	sb_end_pagefault(inode->i_sb);
	return 0;
}

#define STORE_OPS(how) {						\
	.fault = filemap_fault,						\
	.map_pages = filemap_map_pages,					\
	.page_mkwrite = (how),						\
}

static vm_fault_t mkwrite_stacked(struct vm_fault *vmf);
static vm_fault_t mkwrite_locked(struct vm_fault *vmf);

static const struct vm_operations_struct store_ops[STORE_NR] = {
	[STORE_STABLE] = STORE_OPS(mkwrite_stable),
	[STORE_ASKED] = STORE_OPS(mkwrite_asked),
	[STORE_PLAIN] = STORE_OPS(stable_page_mkwrite),
	[STORE_STACKED] = STORE_OPS(mkwrite_stacked),
	[STORE_LOCKED] = STORE_OPS(mkwrite_locked),
	[STORE_NONE] = STORE_OPS(mkwrite_none),
};

static const struct vm_operations_struct locking_ops = STORE_OPS(filemap_page_mkwrite);

static vm_fault_t mkwrite_stacked(struct vm_fault *vmf)
{
	return stable_page_mkwrite_stacked(vmf, STABLE_WAIT_ALWAYS, &store_ops[STORE_NONE]);
}

static vm_fault_t mkwrite_locked(struct vm_fault *vmf)
{
	return stable_page_mkwrite_stacked(vmf, STABLE_WAIT_ALWAYS, &locking_ops);
}

static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &store_ops[options_of(file_inode(file))->store];
	return 0;
}

static ssize_t write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n;

	inode_lock(inode);
	n = generic_write_checks(iocb, from);
	if (n > 0)
		n = file_modified(iocb->ki_filp) ?:
		    iomap_file_buffered_write(iocb, from, &map_ops, NULL, NULL);
	inode_unlock(inode);
	return n > 0 ? generic_write_sync(iocb, n) : n;
}

static int sync_file(struct file *file, loff_t start, loff_t end, int datasync)
{
	return file_write_and_wait_range(file, start, end);
}

static const struct file_operations file_ops = {
	.llseek = generic_file_llseek,
	.read_iter = generic_file_read_iter,
	.write_iter = write_iter,
	.mmap = file_mmap,
	.fsync = sync_file,
};

static int set_size(struct inode *inode, loff_t size)
{
	int error = 0;

	if (size > bdev_nr_bytes(inode->i_sb->s_bdev))
		return -EFBIG;
	filemap_invalidate_lock(inode->i_mapping);
	if (size < i_size_read(inode))
		error = iomap_truncate_page(inode, size, NULL, &map_ops, NULL, NULL);
	if (!error)
		truncate_setsize(inode, size);
	filemap_invalidate_unlock(inode->i_mapping);
	return error;
}

static int set_attributes(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int error = setattr_prepare(idmap, dentry, attr);

	if (!error && attr->ia_valid & ATTR_SIZE)
		error = set_size(inode, attr->ia_size);
	if (!error)
		setattr_copy(idmap, inode, attr);
	return error;
}

static const struct inode_operations inode_ops = {
	.setattr = set_attributes,
};

/* All is on the device by now, and no store makes a page dirty. */
static int freeze_fs(struct super_block *sb)
{
	return 0;
}

static const struct super_operations super_ops = {
	.freeze_fs = freeze_fs,
	.statfs = simple_statfs,
};

static struct inode *make_inode(struct super_block *sb, u64 number, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = number;
	inode->i_mode = mode;
	simple_inode_init_ts(inode);
	/* Nobody writes back an inode that has no hash. */
	insert_inode_hash(inode);
	return inode;
}

static int make_file(struct super_block *sb)
{
	struct inode *inode = make_inode(sb, 2, S_IFREG | 0644);
	struct dentry *dentry;

	if (!inode)
		return -ENOMEM;
	inode->i_op = &inode_ops;
	inode->i_fop = &file_ops;
	inode->i_mapping->a_ops = &mapping_ops;
	mapping_set_large_folios(inode->i_mapping);
	i_size_write(inode, bdev_nr_bytes(sb->s_bdev));

	dentry = d_alloc_name(sb->s_root, "data");
	if (!dentry) {
		iput(inode);
		return -ENOMEM;
	}
	d_make_persistent(dentry, inode);
	dput(dentry);
	return 0;
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;

	if (!sb_min_blocksize(sb, SECTOR_SIZE))
		return -EINVAL;
	sb->s_magic = MKWRITE_C_MAGIC;
	sb->s_op = &super_ops;
	sb->s_maxbytes = MAX_LFS_FILESIZE;

	root = make_inode(sb, 1, S_IFDIR | 0755);
	if (root) {
		root->i_op = &simple_dir_inode_operations;
		root->i_fop = &simple_dir_operations;
		set_nlink(root, 2);
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? make_file(sb) : -ENOMEM;
}

static const struct constant_table stores[] = {
	{ "stable",	STORE_STABLE },
	{ "asked",	STORE_ASKED },
	{ "plain",	STORE_PLAIN },
	{ "stacked",	STORE_STACKED },
	{ "locked",	STORE_LOCKED },
	{ "none",	STORE_NONE },
	{}
};

enum { OPT_STORE, OPT_LIMIT, OPT_ERROR };

static const struct fs_parameter_spec parameters[] = {
	fsparam_enum("store", OPT_STORE, stores),
	fsparam_u64("limit", OPT_LIMIT),
	fsparam_u32("error", OPT_ERROR),
	{}
};

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct options *options = fc->s_fs_info;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	switch (opt) {
	case OPT_STORE:
		options->store = result.uint_32;
		return 0;
	case OPT_LIMIT:
		options->limit = result.uint_64;
		return 0;
	case OPT_ERROR:
		if (result.uint_32 > MAX_ERRNO)
			return -EINVAL;
		atomic_set(&options->error, result.uint_32);
		return 0;
	default:
		return opt;
	}
}

static int get_tree(struct fs_context *fc)
{
	return get_tree_bdev(fc, fill_super);
}

static void free_context(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations context_ops = {
	.parse_param = parse_param,
	.get_tree = get_tree,
	.free = free_context,
};

static int init_fs_context(struct fs_context *fc)
{
	struct options *options = kzalloc_obj(*options);

	if (!options)
		return -ENOMEM;
	options->limit = U64_MAX;
	fc->s_fs_info = options;
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct options *options = sb->s_fs_info;

	kill_block_super(sb);
	kfree(options);
}

static struct file_system_type fs_type = {
	.owner = THIS_MODULE,
	.name = "mkwrite_c",
	.init_fs_context = init_fs_context,
	.parameters = parameters,
	.kill_sb = kill_sb,
	.fs_flags = FS_REQUIRES_DEV,
};

static int __init mkwrite_c_init(void)
{
	return register_filesystem(&fs_type);
}
module_init(mkwrite_c_init);

static void __exit mkwrite_c_exit(void)
{
	unregister_filesystem(&fs_type);
}
module_exit(mkwrite_c_exit);

MODULE_AUTHOR("The stable-pages authors");
MODULE_DESCRIPTION("A filesystem with one file, for stable_page_mkwrite()");
MODULE_LICENSE("GPL");
MODULE_ALIAS_FS("mkwrite_c");
